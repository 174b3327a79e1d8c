import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Booted, boot, settings, start } from '../../../model/design.ts';
import { designs } from '../../../model/designs/index.ts';
import { properties } from '../../index.ts';
import { judge } from '../../judge.ts';
import { signature } from '../../property.ts';
import { Learned } from '../learned.ts';
import { recipes, smallDesign } from '../small-systems.ts';
import { type Sweep, sweep } from '../sweep.ts';
import { kernelSystem } from '../system.ts';
import { Member } from './member.ts';
import { sweepTogether } from './sweep-together.ts';
import type { Hand } from './together.ts';
import { watchFor } from './watching.ts';

/** A worker in this thread, whose answers come later or sooner. */
function hand(booted: Booted, patient: boolean, waits: number): Hand {
  const learned = new Learned(kernelSystem(booted.machine));
  const from = learned.packing.pack(start(booted, booted.workload));
  const member = new Member(learned, from, patient, watchFor(booted.machine, learned, properties));
  const later = async <R>(run: () => R): Promise<R> => {
    for (let each = 0; each < waits; each += 1) await Promise.resolve();
    return run();
  };
  return {
    use: (...given) => later(() => member.use(...given)),
    move: (...given) => later(() => member.move(...given)),
    begin: () => later(() => member.begin()),
    expand: (known) => later(() => member.expand(known)),
    turn: () => later(() => member.turn()),
    give: (...given) => later(() => member.give(...given)),
    take: (parcel) => later(() => member.take(structuredClone(parcel))),
  };
}
const byWorkers = (booted: Booted, workers: number, patient: boolean): Promise<Sweep> =>
  sweepTogether(
    booted,
    properties,
    Array.from({ length: workers }, (_, nth) => hand(booted, patient, (nth * 5) % 3)),
    { patient, maxStates: Number.MAX_SAFE_INTEGER },
  );
const told = ({ states, expanded, transitions, depth, resting, findings, witnesses, why }: Sweep): unknown => ({
  ...{ states, expanded, transitions, depth, resting, findings, why },
  witnesses: [...witnesses].sort(),
});
/** As a sweep tells it: which of the shortest ways a counterexample goes is up to each search. */
const lengths = ({ findings, ...rest }: Sweep): unknown => ({
  ...(told({ ...rest, findings: [], why: '' }) as object),
  findings: findings
    .filter(({ loop }) => !loop)
    .map(({ blame, schedule }) => `${signature(blame)} ${blame.property === 'lock-order' ? '' : schedule.length}`)
    .sort(),
});

/** @returns how many findings there were; nothing when the system is too large */
async function same(booted: Booted, patient: boolean, maxStates = 2_000): Promise<number | undefined> {
  const usual = sweep(booted, properties, { patient, maxStates });
  if (usual.why?.startsWith('stopped')) return undefined;
  const alone = await byWorkers(booted, 1, patient);
  for (const workers of [2, 3]) expect(told(await byWorkers(booted, workers, patient))).toEqual(told(alone));
  expect(lengths(alone)).toEqual(lengths(usual));
  for (const { blame, schedule } of alone.findings) {
    const { knobs, workload } = booted;
    const { verdicts } = judge(booted, { design: booted.design.name, knobs, workload, schedule }, properties, patient);
    expect(verdicts.map((verdict) => signature(verdict.blame))).toContain(signature(blame));
  }
  return alone.findings.length;
}

describe('a sweep by several workers finds what a sweep finds, and the same for any number of them', () => {
  async function onDesigns(ofEach: number, maxStates: number): Promise<{ compared: number; convicted: number }> {
    let compared = 0;
    let convicted = 0;
    for (const design of designs)
      for (const knobs of settings(design).slice(0, ofEach)) {
        const findings = await same(boot(design, knobs), true, maxStates);
        if (findings === undefined) continue;
        compared += 1;
        if (findings > 0) convicted += 1;
      }
    return { compared, convicted };
  }
  test('on designs', async () => {
    const { compared, convicted } = await onDesigns(2, 500);
    expect(compared).toBeGreaterThan(15);
    expect(convicted).toBeGreaterThan(5);
  });
  test('on all of their settings', { tags: ['long', 'overnight'] }, async () => {
    const { compared, convicted } = await onDesigns(Number.MAX_SAFE_INTEGER, 20_000);
    expect(compared).toBeGreaterThan(250);
    expect(convicted).toBeGreaterThan(100);
  });
  test('on random small kernels, with timers patient and at any time', { timeout: 60_000 }, async () => {
    let compared = 0;
    await fc.assert(
      fc.asyncProperty(recipes, fc.boolean(), async (recipe, patient) => {
        if ((await same(boot(smallDesign(recipe)), patient)) !== undefined) compared += 1;
      }),
      { numRuns: 25, seed: 41 },
    );
    expect(compared).toBeGreaterThan(10);
  });
  test('and says that it did not look for fair circles', async () => {
    const [design] = designs;
    const { complete, why } = await byWorkers(boot(design as (typeof designs)[number], {}), 2, true);
    expect(complete).toBe(false);
    expect(why).toMatch(/^fair circles were not looked for \(fence-signals, no-livelock\)/);
  });
});
