/** What the worst execution costs, compared with trying every one on plain objects. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { choices, identity } from '../../model/case.ts';
import { type Booted, boot, start } from '../../model/design.ts';
import { designs } from '../../model/designs/index.ts';
import { type KernelState, reduce } from '../../model/machine.ts';
import { type Tally, costs } from './cost.ts';
import { loops, loopy } from './loopy-systems.ts';
import { recipes, smallDesign } from './small-systems.ts';

const ACQUIRES: Tally = {
  name: 'locks taken',
  of: (fact) => (fact.kind === 'acquires' ? 1 : 0),
};
const most = (booted: Booted, patient: boolean, tally = ACQUIRES): number | undefined =>
  costs(booted, { maxStates: 300, patient, tallies: [tally] })?.[0]?.most;

/** The same by trying all that can happen, one execution after the other; nothing when one of them goes round. */
function tried({ machine, ...booted }: Booted, patient: boolean, { of }: Tally): number | undefined {
  const known = new Map<string, number>();
  const onTheWay = new Set<string>();
  let round = false;
  const from = (kernel: KernelState): number => {
    const here = identity(kernel);
    const before = known.get(here);
    if (before !== undefined) return before;
    if (onTheWay.has(here)) {
      round = true;
      return 0;
    }
    onTheWay.add(here);
    const all = choices(machine, kernel, patient).map((choice) => {
      const next = structuredClone(kernel);
      reduce(machine, next, choice);
      return next.facts.reduce((sum, fact) => sum + of(fact), 0) + from(next);
    });
    onTheWay.delete(here);
    known.set(here, Math.max(0, ...all));
    return known.get(here) as number;
  };
  const worst = from(start({ machine, ...booted }, booted.workload));
  return round ? undefined : worst;
}

describe('what the worst execution costs', () => {
  test('is what trying every execution says, of random small systems', () => {
    let compared = 0;
    let dear = 0;
    fc.assert(
      fc.property(recipes, fc.boolean(), (recipe, patient) => {
        const booted = boot(smallDesign(recipe));
        const ours = most(booted, patient);
        const truth =
          ours === undefined || ours === Number.POSITIVE_INFINITY ? undefined : tried(booted, patient, ACQUIRES);
        if (truth === undefined) return;
        expect(ours).toBe(truth);
        compared += 1;
        if (truth > 1) dear += 1;
      }),
      { numRuns: 30, seed: 3 },
    );
    expect(compared).toBeGreaterThan(10);
    expect(dear).toBeGreaterThan(5);
  });
  test('has no end where a circle costs something, and only there', () => {
    let endless = 0;
    fc.assert(
      fc.property(loops, (recipe) => {
        const booted = loopy(recipe);
        const ours = most(booted, true);
        if (ours === Number.POSITIVE_INFINITY) {
          endless += 1;
          expect(tried(booted, true, ACQUIRES)).toBeUndefined();
        }
      }),
      { numRuns: 20, seed: 4 },
    );
    expect(endless).toBeGreaterThan(3);
    const nothing: Tally = { name: 'nothing', of: () => 0 };
    fc.assert(
      fc.property(loops, (recipe) => {
        expect(most(loopy(recipe), true, nothing) ?? 0).toBe(0);
      }),
      { numRuns: 10, seed: 5 },
    );
  });
  test('tells two ways to choose a victim apart: one process stops, or two', () => {
    const [design] = designs.filter(({ name }) => name === 'eviction-fence');
    if (!design) throw new Error('it is gone');
    const stopped = (victim: string): number | undefined =>
      costs(boot(design, { victim }), { maxStates: 10_000, patient: true })?.find(
        ({ name }) => name === 'queues stopped',
      )?.most;
    expect([stopped('idle_first'), stopped('any')]).toEqual([1, 2]);
  });
  test('is not said of half of a graph', () => {
    expect(costs(boot(designs[0] as (typeof designs)[number]), { maxStates: 3, patient: true })).toBeUndefined();
  });
});
