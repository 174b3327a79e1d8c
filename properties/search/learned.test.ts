import fc from 'fast-check';
import { applyPatches, createDraft, enablePatches, finishDraft, setAutoFreeze } from 'immer';
import { describe, expect, test } from 'vitest';
import { choices } from '../../model/case.ts';
import { type Booted, type Design, type Knobs, boot, settings, start } from '../../model/design.ts';
import { designs } from '../../model/designs/index.ts';
import { type KernelState, reduce } from '../../model/machine.ts';
import { canonical } from '../../model/schema.ts';
import { workloads } from './arbitraries.ts';
import { Learned, apply } from './learned.ts';
import { Random } from './random.ts';
import { kernelSystem } from './system.ts';
import { smallSystems } from './small-systems.ts';

enablePatches();
setAutoFreeze(true);

const same = (a: unknown, b: unknown): boolean => canonical(a) === canonical(b);

/**
 * One random walk in three forms at once: choices and facts are compared at every step, whole states and the state
 * rebuilt from immer's patches at every `often`-th step and at the end; `immer: false` leaves the third form out.
 * @returns the steps taken
 * @throws when any two of them differ
 */
function walkInThreeForms(
  booted: Booted,
  learned: Learned,
  workload: Parameters<typeof start>[1],
  luck: number,
  steps: number,
  { often = 1, immer = true } = {},
): number {
  const { machine } = booted;
  const random = new Random(luck);
  const plain = start(booted, workload);
  let frozen: KernelState = structuredClone(plain);
  const words = learned.packing.pack(plain);
  for (let step = 0; step < steps; step += 1) {
    const all = choices(machine, plain, false);
    const ways = learned.threads.flatMap((_, thread) => learned.turn(thread, words, 0).ways);
    const alike = all.every(
      ({ thread, outcome, nature }, at) =>
        ways[at]?.thread === thread && ways[at].outcome === outcome && ways[at].nature === nature,
    );
    if (all.length !== ways.length || !alike) throw new Error(`choices differ at step ${step}`);
    if (all.length === 0) return step;
    const at = random.below(all.length);
    const choice = all[at] as (typeof all)[number];
    const way = ways[at] as (typeof ways)[number];
    const label = `after ${choice.thread}/${choice.outcome}`;
    const looks = step % often === 0 || step === steps - 1;
    reduce(machine, plain, choice);
    if (immer) {
      const draft = createDraft(frozen);
      reduce(machine, draft, choice);
      let patches: Parameters<typeof applyPatches>[1] = [];
      const next = finishDraft(draft, (forward) => (patches = forward));
      if (looks && !same(applyPatches(frozen, patches), next))
        throw new Error(`patches do not rebuild the state ${label}`);
      frozen = next;
    }
    apply(way, words, 0);
    if (!same(plain.facts, way.facts)) throw new Error(`facts differ ${label}`);
    if (!looks) continue;
    const unpacked = learned.packing.unpack<KernelState>(words);
    if (immer && !same(plain, frozen)) throw new Error(`plain and immer differ ${label}`);
    if (!same({ ...plain, facts: [] }, { ...unpacked, facts: [] }))
      throw new Error(`plain and learned differ ${label}`);
  }
  return steps;
}

describe('one reduce(), three forms: plain object, immer draft, learned packed state', () => {
  function equalOn(design: Design, all: readonly Knobs[]): void {
    let steps = 0;
    for (const knobs of all) {
      const booted = boot(design, knobs);
      const learned = new Learned(kernelSystem(booted.machine));
      fc.assert(
        fc.property(fc.oneof(fc.constant(booted.workload), workloads(booted)), fc.integer(), (workload, luck) => {
          steps += walkInThreeForms(booted, learned, workload, luck, 40);
        }),
        { numRuns: 1, seed: 11 },
      );
    }
    expect(steps).toBeGreaterThan(4);
  }
  test.each(designs)('are equal step by step on $name, patches included', (design) => {
    equalOn(design, settings(design).slice(0, 2));
  });
  test.each(designs)('… and on every setting of $name', { tags: ['long'] }, (design) => {
    equalOn(design, settings(design));
  });

  test('are equal on random small systems', () => {
    fc.assert(
      fc.property(smallSystems, fc.integer(), (booted, luck) => {
        walkInThreeForms(booted, new Learned(kernelSystem(booted.machine)), booted.workload, luck, 60);
      }),
      { numRuns: 30, seed: 12 },
    );
  });

  test('are equal over ten million steps, over all designs and over random small systems', {
    tags: ['long', 'overnight'],
  }, () => {
    const ENOUGH = 10_000_000;
    const machines = designs
      .flatMap((design) => settings(design).map((knobs) => boot(design, knobs)))
      .map((booted) => ({ booted, learned: new Learned(kernelSystem(booted.machine)) }));
    let steps = 0;
    for (let luck = 1; steps < ENOUGH / 2; luck += 1) {
      const { booted, learned } = machines[luck % machines.length] as (typeof machines)[number];
      const [workload] = fc.sample(workloads(booted), { numRuns: 1, seed: luck });
      steps += walkInThreeForms(booted, learned, luck % 2 === 0 ? booted.workload : (workload ?? {}), luck, 500, {
        often: 50,
        immer: luck % 10 === 0,
      });
    }
    for (let luck = 1; steps < ENOUGH; luck += 1) {
      const [booted] = fc.sample(smallSystems, { numRuns: 1, seed: luck });
      if (!booted) continue;
      const learned = new Learned(kernelSystem(booted.machine));
      for (let walk = 0; walk < 50; walk += 1)
        steps += walkInThreeForms(booted, learned, booted.workload, luck * 64 + walk, 500, {
          often: 50,
          immer: walk % 10 === 0,
        });
    }
    expect(steps).toBeGreaterThanOrEqual(ENOUGH);
  });

  test('differ, and the comparison says so, when one of them is mutated', () => {
    const booted = boot(designs[0] as (typeof designs)[0]);
    const learned = new Learned(kernelSystem(booted.machine));
    const words = learned.packing.pack(booted.machine.boot);
    const way = learned.turn(0, words, 0).ways[0];
    if (!way) throw new Error('the canary cannot move');
    way.ids.fill(way.ids[0] === 0 ? 1 : 0);
    expect(() => walkInThreeForms(booted, learned, {}, 3, 60)).toThrow();
  });
});

test('fingerprints depend on content only: two machines that discover values in another order agree', () => {
  const booted = boot(designs[0] as (typeof designs)[0]);
  const fingerprint = (learned: Learned, kernel: KernelState): number =>
    learned.packing.fingerprint(learned.packing.pack(kernel), 'high');
  const early = new Learned(kernelSystem(booted.machine));
  const late = new Learned(kernelSystem(booted.machine));
  const after = structuredClone(booted.machine.boot);
  reduce(booted.machine, after, { thread: 'two', outcome: '' });
  late.packing.pack(after);
  expect(fingerprint(early, booted.machine.boot)).toBe(fingerprint(late, booted.machine.boot));
  expect(fingerprint(early, after)).toBe(fingerprint(late, after));
  expect(fingerprint(early, after)).not.toBe(fingerprint(early, booted.machine.boot));
});
