import { expect, test } from 'vitest';
import { type Combination, refuses } from './refuses.ts';
import { properties } from '../index.ts';
import { type Loops, loopy } from './loopy-systems.ts';
import { sweep } from './sweep.ts';

const SOUND: Combination = { circles: true, storage: 'full', edges: true, reductions: [], exhausted: true };

test('full states, all edges, no reduction but such as keep circles, exhausted: nothing is refused', () => {
  expect(refuses(SOUND)).toBeUndefined();
  expect(refuses({ ...SOUND, reductions: ['persistent sets', 'merged steps'] })).toBeUndefined();
  expect(refuses({ ...SOUND, storage: 'tree' })).toBeUndefined();
});
test('each unsound combination is refused by its name', () => {
  const unsound: [Partial<Combination>, RegExp][] = [
    [{ storage: 'fingerprints' }, /with fingerprints only/],
    [{ storage: 'bitstate' }, /with bitstate/],
    [{ edges: false }, /without edges/],
    [{ exhausted: false }, /not exhausted/],
    ...(['sleep sets', 'symmetry', 'seqno shifting'] as const).map((name): [Partial<Combination>, RegExp] => [
      { reductions: ['persistent sets', name] },
      new RegExp(`with ${name}`),
    ]),
  ];
  for (const [change, name] of unsound) expect(refuses({ ...SOUND, ...change })).toMatch(name);
});
test('and none of them when no circles are asked for', () => {
  expect(
    refuses({ circles: false, storage: 'bitstate', edges: false, reductions: ['sleep sets'], exhausted: false }),
  ).toBeUndefined();
});
test('a search that was cut short convicts nobody of a circle, and is not complete', () => {
  const livelock: Loops = {
    one: { pieces: ['a, try b'], ever: false },
    two: { pieces: ['b, try a'], ever: false },
    maybe: null,
  };
  const circles = (maxStates: number): unknown[] =>
    sweep(loopy(livelock), properties, { maxStates }).findings.filter(({ loop }) => loop !== undefined);
  expect(circles(1_000).length).toBeGreaterThan(0);
  expect(circles(10)).toEqual([]);
  const cut = sweep(loopy(livelock), properties, { maxStates: 10 });
  expect(cut.complete).toBe(false);
  expect(cut.refused).toMatch(/not exhausted/);
  expect(sweep(loopy(livelock), properties).refused).toBeUndefined();
});
