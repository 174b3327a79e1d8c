/**
 * The run in the Informal Trace Format of Apalache (its ADR 015): state after state, for the trace viewers there are.
 *
 * A variable is a table of the model, a map from the names of its rows. `action` says what led to the state. ITF knows
 * no null, so what names nobody is the empty text; every such field holds a text otherwise.
 */
import type { Reporter } from './reporter.ts';
import { type Cell, type Telling, stepsOf } from './telling.ts';

const INDENT = 2;
const ACTION = 'action';
const MEANING = 'what was done to come here';

/** Rows by table; a row is its fields, or a value of its own. */
type State = Map<string, Map<string, { readonly fields: Map<string, unknown> } | { readonly value: unknown }>>;

/** Numbers of any size stand as text (ADR 015: only numbers below 2^53 may stand as JSON numbers). */
function expression(value: unknown): unknown {
  if (value === null) return '';
  if (typeof value === 'number') return { '#bigint': String(value) };
  if (Array.isArray(value)) return value.map(expression);
  if (typeof value === 'object') return record(Object.entries(value));
  return value;
}
const record = (entries: Iterable<readonly [string, unknown]>): Record<string, unknown> =>
  Object.fromEntries([...entries].map(([key, value]) => [key, expression(value)]));

function assign(state: State, { path, value }: Cell): void {
  const [table = '', row = '', field] = path;
  const rows = state.get(table) ?? (new Map() as NonNullable<ReturnType<State['get']>>);
  state.set(table, rows);
  const kept = rows.get(row);
  if (field === undefined) rows.set(row, { value });
  else if (kept && 'fields' in kept) kept.fields.set(field, value);
  else rows.set(row, { fields: new Map([[field, value]]) });
}
const shown = (state: State): Record<string, unknown> =>
  Object.fromEntries(
    [...state].map(([table, rows]) => [
      table,
      {
        '#map': [...rows].map(([row, kept]) => [row, 'fields' in kept ? record(kept.fields) : expression(kept.value)]),
      },
    ]),
  );

function states({ boot, steps }: Telling): Record<string, unknown>[] {
  const state: State = new Map();
  const all: Record<string, unknown>[] = [];
  const keep = (action: string, cells: readonly Cell[]): void => {
    for (const cell of cells) assign(state, cell);
    all.push({ '#meta': { index: all.length }, [ACTION]: action, ...shown(state) });
  };
  keep('boot', boot);
  for (const each of steps)
    if (each.kind === 'reboot') keep('reboot', boot);
    else keep(each.word, each.writes);
  return all;
}

export const itf: Reporter = {
  name: 'itf',
  says: 'every state of the run in the Informal Trace Format, for trace viewers',
  render(telling) {
    const all = states(telling);
    const circle = stepsOf(telling).filter(({ loop }) => loop).length;
    const trace = {
      '#meta': {
        format: 'ITF',
        'format-description': 'https://apalache-mc.org/docs/adr/015adr-trace.html',
        description: telling.blame?.what ?? 'nothing is broken',
        source: telling.design,
        varTypes: { [ACTION]: 'Str' },
        varDescriptions: { [ACTION]: MEANING },
      },
      params: [],
      vars: [ACTION, ...new Set(telling.boot.map(({ path }) => path[0] ?? ''))],
      ...(circle > 0 ? { loop: all.length - circle } : {}),
      states: all,
    };
    return `${JSON.stringify(trace, null, INDENT)}\n`;
  },
};
