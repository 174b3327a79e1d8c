import { describe, expect, test } from 'vitest';
import { flag, int, table } from '../../model/schema.ts';
import { Learner } from './learner.ts';
import { Packing } from './packed.ts';
import { Recorder } from './recorder.ts';

const schema = { cells: table({ value: int(9), lit: flag }) };
interface State {
  readonly cells: Record<string, { value: number; lit: boolean }>;
}
const NAMES = ['a', 'b', 'c'];
const state = (...values: readonly number[]): State => ({
  cells: Object.fromEntries(NAMES.map((name, at) => [name, { value: values[at] ?? 0, lit: false }])),
});
const stage = () => {
  const packing = new Packing(schema, state());
  return { packing, recorder: new Recorder<State>(packing, state()) };
};

describe('a learner', () => {
  test('asks once for each combination of the values it reads, and no oftener', () => {
    const { packing, recorder } = stage();
    let asked = 0;
    const learner = new Learner('a + b', packing, recorder, ({ view }) => {
      asked += 1;
      const { value } = view.cells['a'] as { value: number };
      return value === 0 ? 'none' : `some and ${(view.cells['b'] as { value: number }).value}`;
    });
    const answers = [
      [0, 1, 1],
      [0, 2, 2],
      [0, 3, 9],
      [1, 2, 0],
      [1, 2, 5],
      [1, 3, 5],
    ].map((values) => learner.of(packing.pack(state(...values)), 0));
    expect(answers).toEqual(['none', 'none', 'none', 'some and 2', 'some and 2', 'some and 3']);
    expect({ asked, leaves: learner.leaves }).toEqual({ asked: 3, leaves: 3 });
  });

  test('that reads too widely stays right, and says that it is too wide', () => {
    const { packing, recorder } = stage();
    const sum = ({ view }: Recorder<State>): number =>
      NAMES.reduce((total, name) => total + (view.cells[name] as { value: number }).value, 0);
    const narrow = new Learner('sum', packing, recorder, sum);
    const wide = new Learner('sum', packing, recorder, sum, 5);
    for (let n = 0; n < 300; n += 1) {
      const values = [n % 10, (n * 7) % 10, (n * 3) % 10];
      const words = packing.pack(state(...values));
      const total = values.reduce((a, b) => a + b, 0);
      expect([narrow.of(words, 0), wide.of(words, 0)]).toEqual([total, total]);
    }
    expect({ narrow: narrow.tooWide, wide: wide.tooWide, leaves: wide.leaves }).toEqual({
      narrow: false,
      wide: true,
      leaves: 5,
    });
  });

  test('names a function that is none of what it reads', () => {
    const { packing, recorder } = stage();
    let calls = 0;
    const fickle = new Learner('fickle', packing, recorder, ({ view }) => {
      calls += 1;
      return (
        (view.cells['a'] as { value: number }).value +
        (view.cells[calls % 2 === 0 ? 'b' : 'c'] as { value: number }).value
      );
    });
    fickle.of(packing.pack(state(1, 1, 1)), 0);
    expect(() => fickle.of(packing.pack(state(1, 2, 2)), 0)).toThrow(
      'fickle is not a function of the state it reads: after the same values it read cells.c.value before and cells.b.value now',
    );
  });

  test('refuses a value that the field cannot hold', () => {
    const { packing } = stage();
    expect(() => packing.pack(state(10))).toThrow('cells.a.value: 10 is not a whole number from 0 to 9');
  });
});
