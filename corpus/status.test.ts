import { expect, test } from 'vitest';
import { type Design, boot } from '../model/design.ts';
import { designs } from '../model/designs/index.ts';
import { properties } from '../properties/index.ts';
import { sweep } from '../properties/search/sweep.ts';
import { type Entry, programsOf } from './entry.ts';
import { statusOf } from './status.ts';

const named = (name: string): Design => {
  const found = designs.find((each) => each.name === name);
  if (!found) throw new Error(`no ${name}`);
  return found;
};
const abba = named('canary-abba');
const opposite = boot(abba, { order: 'opposite' });
const same = boot(abba, { order: 'same' });

const convicted: Entry = {
  format: 1,
  title: 't',
  design: abba.name,
  knobs: { order: 'opposite' },
  workload: {},
  schedule: ['one', 'two'],
  expect: { verdict: 'convicted', property: 'no-deadlock', kind: 'circle of mutex' },
  found: { by: 'sweep', shortest: 'proved' },
  sources: [],
  programs: programsOf(opposite),
};
const swept = sweep(same, properties);
const acquitted: Entry = {
  ...convicted,
  knobs: { order: 'same' },
  schedule: [],
  expect: {
    verdict: 'acquitted',
    states: swept.states,
    transitions: swept.transitions,
    depth: swept.depth,
    witnesses: [...swept.witnesses],
    time: 'patient',
  },
  programs: programsOf(same),
};
const status = (entry: Entry, design = abba) => statusOf(entry, design, properties);

test('a counterexample that still convicts reproduces', () => {
  expect(status(convicted)).toMatchObject({ status: 'reproduces', changed: [], skipped: [] });
});
test('one that breaks something else is different, and says what', () => {
  const verdict = status({ ...convicted, expect: { verdict: 'convicted', property: 'no-leak', kind: 'left over' } });
  expect(verdict.status).toBe('different');
  expect(verdict.says).toContain('breaks no-deadlock (circle of mutex) instead of no-leak (left over)');
});
test('one whose words can all be followed and break nothing passes', () => {
  expect(status({ ...convicted, schedule: ['one', 'one'] }).status).toBe('passes');
});
test('one whose words cannot be followed is vacuous, not passing', () => {
  const verdict = status({ ...convicted, schedule: ['one', 'three', 'one/sideways'] });
  expect(verdict).toMatchObject({ status: 'vacuous', skipped: [1, 2] });
  expect(verdict.says).toContain('2 of 3 words could not be followed, the first is number 2, "three"');
});
test('one whose design changed is stale, and says what changed and what happens all the same', () => {
  const stale = status({ ...convicted, programs: { ...convicted.programs, two: '00000000', gone: '0' } });
  expect(stale).toMatchObject({ status: 'stale', played: 'reproduces', changed: ['two changed', 'gone is gone'] });
  const fixed = status({ ...convicted, schedule: ['one', 'one'], programs: {} });
  expect(fixed).toMatchObject({ status: 'stale', played: 'passes' });
});
test('a knob, a value or a caller that no longer exists is stale, not a crash', () => {
  for (const knobs of [{ colour: 'red' }, { order: 'sideways' }, { toString: 'x' }, { constructor: 'x' }])
    expect(status({ ...convicted, knobs })).toMatchObject({ status: 'stale', played: 'cannot be played' });
  for (const user of ['nobody', 'toString'])
    expect(status({ ...convicted, workload: { [user]: [] } })).toMatchObject({
      status: 'stale',
      changed: [`unknown user "${user}"; there are: none`],
    });
});
test('an acquittal with the same search reproduces', () => {
  expect(status(acquitted)).toMatchObject({ status: 'reproduces', changed: [] });
});
test('an acquittal is different when the search has another size, or finds something', () => {
  const expectation = acquitted.expect as Extract<Entry['expect'], { verdict: 'acquitted' }>;
  const other = status({ ...acquitted, expect: { ...expectation, states: expectation.states + 1 } });
  expect(other).toMatchObject({ status: 'different' });
  expect(other.says).toBe(`nothing is broken, but ${swept.states} states instead of ${swept.states + 1}`);
  const guilty = status({ ...acquitted, knobs: { order: 'opposite' }, programs: programsOf(opposite) });
  expect(guilty.says).toMatch(/^is convicted of no-deadlock/);
});
test('an acquittal that no longer gets to the dangerous situation is vacuous', () => {
  const expectation = acquitted.expect as Extract<Entry['expect'], { verdict: 'acquitted' }>;
  const verdict = status({ ...acquitted, expect: { ...expectation, witnesses: ['two has both', 'the moon is full'] } });
  expect(verdict.status).toBe('vacuous');
  expect(verdict.says).toContain('it was never seen that: the moon is full');
});
