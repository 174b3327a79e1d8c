/**
 * Random systems of plain cells, for comparing searches: a few processes whose commands look at one or two cells and
 * change one or two. Any number of cells, so that packed states of every width come up, odd ones too.
 */
import fc from 'fast-check';
import { type Kept, int, table } from '../../../model/schema.ts';
import { type Classic, type Command, classic } from '../classics/classic.ts';

const schema = { cells: table({ value: int(5) }) };
type Cells = Kept<typeof schema>;

interface Rule {
  readonly look: number;
  readonly least: number;
  readonly change: number;
  readonly by: number;
  readonly also: number | null;
}
const rule = (cells: number): fc.Arbitrary<Rule> => {
  const cell = fc.nat({ max: cells - 1 });
  return fc.record({
    look: cell,
    least: fc.nat({ max: 2 }),
    change: cell,
    by: fc.integer({ min: 1, max: 3 }),
    also: fc.option(cell),
  });
};

export const randomSystems: fc.Arbitrary<Classic<Cells>> = fc.integer({ min: 1, max: 19 }).chain((cells) =>
  fc
    .record({
      processes: fc.array(fc.array(rule(cells), { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 4 }),
      most: fc.integer({ min: 1, max: 3 }),
    })
    .map(({ processes, most }) => {
      const cell = (state: Cells, at: number): { value: number } => state.cells[`c${at}`] as { value: number };
      const command = ({ look, least, change, by, also }: Rule): Command<Cells> => ({
        when: (state) => cell(state, look).value >= least,
        then: (state) => {
          cell(state, change).value = (cell(state, change).value + by) % (most + 1);
          if (also !== null) cell(state, also).value = (cell(state, also).value + 1) % (most + 1);
        },
      });
      return classic<Cells>({
        schema,
        given: { cells: Object.fromEntries(Array.from({ length: cells }, (_, at) => [`c${at}`, {}])) },
        processes: Object.fromEntries(
          processes.map((rules, at) => [
            `p${at}`,
            Object.fromEntries(rules.map((each, nth) => [`rule ${nth}`, command(each)])),
          ]),
        ),
      });
    }),
);
