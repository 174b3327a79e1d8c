/**
 * Random tiny systems for auditing the stateless search: a few processes that run straight programs over a few cells.
 * What a step reads depends on what it finds: it asks one cell after another, and may wait, or end, at each of them.
 * Every program ends, so every schedule does.
 */
import fc from 'fast-check';
import type { Nature, Open } from '../../../model/machine.ts';
import { type Kept, int, table } from '../../../model/schema.ts';
import type { System } from '../system.ts';

const schema = { cells: table({ value: int(2) }), places: table({ at: int(9) }) };
type Cells = Kept<typeof schema>;

/** Ask a cell: what it must hold to go on asking; otherwise the step waits, or is over with what it wrote so far. */
interface Question {
  readonly cell: number;
  readonly is: number;
  readonly else: 'wait' | 'enough';
  readonly writes: number;
}
interface Line {
  readonly asks: readonly Question[];
  /** By outcome, what is written when all questions were answered. */
  readonly outcomes: readonly (readonly (readonly [cell: number, value: number])[])[];
  readonly nature: Nature;
}
export type Tiny = readonly (readonly Line[])[];
const CELLS = 3;

export function tinySystem(programs: Tiny): System<Cells, string> {
  const names = programs.map((_, at) => `p${at}`);
  const cell = (state: Cells, at: number): Cells['cells'][string] => state.cells[`c${at}`] as Cells['cells'][string];
  const place = (state: Cells, who: string): Cells['places'][string] => state.places[who] as Cells['places'][string];
  const lineOf = (state: Cells, who: string): Line | undefined => programs[names.indexOf(who)]?.[place(state, who).at];
  const unanswered = (state: Cells, line: Line): Question | undefined =>
    line.asks.find((ask) => cell(state, ask.cell).value !== ask.is);
  return {
    schema,
    boot: {
      cells: Object.fromEntries(Array.from({ length: CELLS }, (_, at) => [`c${at}`, { value: 0 }])),
      places: Object.fromEntries(names.map((who) => [who, { at: 0 }])),
    },
    processes: names,
    open(state, who): Open {
      const line = lineOf(state, who);
      if (!line) return { kind: 'finished' };
      const ask = unanswered(state, line);
      if (ask?.else === 'wait')
        return {
          kind: 'blocked',
          wait: { on: 'cell', object: `c${ask.cell}`, owedBy: [], because: 'of its value' },
          outcomes: [],
        };
      const outcomes = ask ? [''] : line.outcomes.map((_, at) => String(at));
      return { kind: 'ready', outcomes, nature: line.nature, strong: false };
    },
    step(state, who, outcome) {
      const line = lineOf(state, who) as Line;
      const ask = unanswered(state, line);
      if (ask) cell(state, ask.cell).value = ask.writes;
      else for (const [at, value] of line.outcomes[Number(outcome)] ?? []) cell(state, at).value = value;
      place(state, who).at += 1;
      return [];
    },
    line: (state, who) => `${who}:${place(state, who).at}`,
  };
}

const cells = fc.nat(CELLS - 1);
const values = fc.nat(2);
const lines = (natures: readonly Nature[]): fc.Arbitrary<Line> =>
  fc.record({
    asks: fc.array(
      fc.record({
        cell: cells,
        is: fc.nat(1),
        else: fc.constantFrom('wait' as const, 'enough' as const),
        writes: values,
      }),
      { maxLength: 3 },
    ),
    outcomes: fc.array(fc.array(fc.tuple(cells, values), { maxLength: 2 }), { minLength: 1, maxLength: 2 }),
    nature: fc.constantFrom(...natures),
  });
/** @param timers may some steps come only because time passes? */
export const tinySystems = (timers: boolean): fc.Arbitrary<Tiny> =>
  fc.array(fc.array(lines(timers ? ['owed', 'owed', 'may', 'time'] : ['owed']), { minLength: 1, maxLength: 2 }), {
    minLength: 2,
    maxLength: 4,
  });
