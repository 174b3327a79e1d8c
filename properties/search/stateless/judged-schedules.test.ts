import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Booted, type Design, boot, settings, showKnobs } from '../../../model/design.ts';
import { designs } from '../../../model/designs/index.ts';
import { properties } from '../../index.ts';
import { judge } from '../../judge.ts';
import { signature } from '../../property.ts';
import { recipes, smallDesign } from '../small-systems.ts';
import { sweep } from '../sweep.ts';
import { judgedSchedules } from './judged-schedules.ts';

const MOST_STATES = 100_000;

/** What was decided must be what the sweep says. @returns whether the search came to its end */
function sameAsSweep(booted: Booted, maxSteps: number): boolean {
  const found = judgedSchedules(booted, properties, { maxSteps });
  const swept = sweep(booted, properties, { maxStates: MOST_STATES });
  const all = new Set(swept.findings.map(({ blame }) => signature(blame)));
  const here = new Set(found.findings.map(({ blame }) => signature(blame)));
  if (swept.complete) for (const each of here) expect(all).toContain(each);
  for (const { blame } of swept.findings)
    if (found.decided.includes(blame.property)) expect(here).toContain(signature(blame));
  return found.complete;
}
const named = (name: string): Design => designs.find((each) => each.name === name) as Design;

describe('what the schedules of a workload decide is what the sweep finds', () => {
  test('on random small kernels', () => {
    let ended = 0;
    fc.assert(
      fc.property(recipes, (recipe) => {
        if (sameAsSweep(boot(smallDesign({ ...recipe, retries: false })), 3_000)) ended += 1;
      }),
      { numRuns: 30, seed: 21 },
    );
    expect(ended).toBeGreaterThan(10);
  }, 60_000);
  test('on many more of them', { tags: ['long', 'overnight'] }, () => {
    let ended = 0;
    fc.assert(
      fc.property(recipes, (recipe) => {
        if (sameAsSweep(boot(smallDesign({ ...recipe, retries: false })), 60_000)) ended += 1;
      }),
      { numRuns: 400, seed: 22 },
    );
    expect(ended).toBeGreaterThan(250);
  });
  for (const design of designs)
    settings(design).forEach((knobs, nth) => {
      test(`on ${design.name} ${showKnobs(knobs)}`, nth === 0 ? {} : { tags: ['long', 'overnight'] }, () => {
        sameAsSweep(boot(design, knobs), nth === 0 ? 3_000 : 100_000);
      });
    });
});

describe('the canaries', () => {
  const abba = (order: string): Booted => boot(named('canary-abba'), { order });
  test('fall, and their tame twins do not', () => {
    const found = (booted: Booted): string[] =>
      judgedSchedules(booted, properties)
        .findings.map(({ blame }) => blame.property)
        .sort();
    expect(found(abba('opposite'))).toEqual(['lock-order', 'no-deadlock']);
    expect(found(abba('same'))).toEqual([]);
    expect(found(boot(named('canary-signal-forgotten'), { on_error: 'forgets' }))).toContain('fence-signals');
    expect(found(boot(named('canary-signal-forgotten'), { on_error: 'signals' }))).toEqual([]);
  });
  test('a schedule that is told is one that the judge convicts', () => {
    const booted = abba('opposite');
    for (const { blame, schedule } of judgedSchedules(booted, properties).findings)
      expect(
        judge(booted, { design: 'canary-abba', knobs: booted.knobs, workload: {}, schedule }, properties).verdicts.map(
          (verdict) => signature(verdict.blame),
        ),
      ).toContain(signature(blame));
  });
  test('what is not decided is named, with the reason', () => {
    const all = judgedSchedules(abba('opposite'), properties);
    expect(all.decided).toContain('lock-order');
    expect(all.undecided).toHaveProperty('no-deadlock');
    const short = judgedSchedules(abba('opposite'), properties, { maxDepth: 3 });
    expect(short.decided).toEqual([]);
    expect(short.undecided['lock-order']).toMatch(/schedules were cut off at depth 3/);
    const met = judgedSchedules(abba('opposite'), properties, { asMet: true });
    expect(met.decided).toEqual([]);
    expect(met.undecided['lock-order']).toBe('steps and states were judged only as they were met');
  });
});
