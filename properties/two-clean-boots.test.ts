/** Lockdep remembers: what two boots of one machine never do together, they prove together (L-15, L-17). */
import { expect, test } from 'vitest';
import { REBOOT } from '../model/case.ts';
import { boot } from '../model/design.ts';
import { crossRelease } from '../model/designs/cross-release.ts';
import { properties } from './index.ts';
import { judge } from './judge.ts';
import { sweep } from './search/sweep.ts';

const CARD0_ALLOCATES = 'udev/card0, udev, udev, card0_fbcon, card0_fbcon, card0_fbcon/ok, card0_fbcon';
const CARD0_SHRINKS =
  'udev/card0, udev, udev, card0_submit, card0_submit, card0_submit/ok, card0_submit, card0_submit, card0_submit, ' +
  'card0_submit, card0_submit, kswapd/shrinks card0, card0_ring/completes, card0_ring, kswapd';
const CARD1_RESETS =
  'udev/card1, udev, card1_submit, card1_submit, card1_submit/ok, card1_submit, card1_submit, card1_submit, ' +
  'card1_submit, card1_submit, card1_submit, card1_reset, card1_reset, card1_reset, card1_reset';
const schedule = (boots: readonly string[]): string[] => boots.join(`, ${REBOOT}, `).split(', ');

function verdicts(drivers: string, boots: readonly string[]): string[] {
  const booted = boot(crossRelease, { drivers });
  const judged = judge(
    booted,
    { design: 'cross-release', knobs: booted.knobs, workload: {}, schedule: schedule(boots) },
    properties,
  );
  expect(judged.skipped).toEqual([]);
  return judged.verdicts.map(({ blame }) => blame.what);
}

test('each boot is clean', () => {
  for (const boots of [CARD0_ALLOCATES, CARD0_SHRINKS, CARD1_RESETS])
    expect(verdicts('unannotated', [boots])).toEqual([]);
});

test('together they convict, through fs_reclaim, although nobody ever reclaimed under the console lock', () => {
  const [what, ...others] = verdicts('unannotated', [CARD0_ALLOCATES, CARD0_SHRINKS, CARD1_RESETS]);
  expect(what).toBe('possible circular locking dependency: console_lock > fs_reclaim > fence drm_sched > console_lock');
  expect(others).toEqual([]);
});

test('in any order of the boots', () => {
  expect(verdicts('unannotated', [CARD1_RESETS, CARD0_SHRINKS, CARD0_ALLOCATES])).toHaveLength(1);
});

test('two of the three are not enough', () => {
  expect(verdicts('unannotated', [CARD0_ALLOCATES, CARD1_RESETS])).toEqual([]);
  expect(verdicts('unannotated', [CARD0_SHRINKS, CARD1_RESETS])).toEqual([]);
  expect(verdicts('unannotated', [CARD0_ALLOCATES, CARD0_SHRINKS])).toEqual([]);
});

test('the fixed drivers are clean in all three', () => {
  expect(verdicts('fixed', [CARD0_ALLOCATES, CARD0_SHRINKS, CARD1_RESETS])).toEqual([]);
});

test('no single boot that the sweep can find convicts: the counterexample needs a reboot', () => {
  const booted = boot(crossRelease, { drivers: 'unannotated' });
  const { findings } = sweep(booted, properties);
  expect(findings.map(({ blame }) => blame.property)).toEqual(['lock-order']);
  const text = findings[0]?.schedule ?? [];
  expect(text.filter((word) => word === REBOOT)).toHaveLength(1);
  const at = text.indexOf(REBOOT);
  for (const half of [text.slice(0, at), text.slice(at + 1)])
    expect(
      judge(booted, { design: 'cross-release', knobs: booted.knobs, workload: {}, schedule: half }, properties)
        .verdicts,
    ).toEqual([]);
});
