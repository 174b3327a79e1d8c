import { expect, test } from 'vitest';
import { identityOf } from '../../corpus/entry.ts';
import type { Entry } from '../../corpus/entry.ts';
import type { Case } from '../../model/case.ts';
import { groupOf } from '../../properties/circle-of-debts.ts';
import { properties } from '../../properties/index.ts';
import type { Blame } from '../../properties/property.ts';
import type { BatchDone } from '../../properties/search/campaign/batch.ts';
import { PLAIN } from '../../reports/reporter.ts';
import { campaignReport } from '../../reports/campaign.ts';
import type { Corpus } from '../known.ts';
import type { Plan } from './plan.ts';
import { Records } from './records.ts';
import { summaryOf } from './summary.ts';

const knobs = { order: 'opposite' };
const plan: Plan = {
  format: 1,
  seed: 1,
  runs: 100,
  lanes: 1,
  properties: ['no-deadlock'],
  strategies: ['random'],
  settings: [
    { design: 'canary-abba', knobs, programs: 'p' },
    { design: 'canary-abba', knobs: { order: 'same' }, programs: 'q' },
  ],
};
const blame: Blame = {
  property: 'no-deadlock',
  kind: 'circle of mutex',
  what: 'one, two wait for each other: nobody can go on',
  links: [
    { who: 'one', wait: { on: 'mutex', object: 'b', owedBy: ['two'], because: 'two holds b' } },
    { who: 'two', wait: { on: 'mutex', object: 'a', owedBy: ['one'], because: 'one holds a' } },
  ],
  rules: [],
};
const run: Case = { design: 'canary-abba', knobs, workload: {}, schedule: ['one', 'two'] };
const silent: BatchDone = {
  runs: 100,
  steps: 1_000,
  fresh: [],
  again: [],
  cases: [],
  yields: {},
  pct: {},
  met: [],
  found: [],
  witnesses: [],
  taken: [],
  offered: [],
};
const group = groupOf(blame);
const meeting: BatchDone = {
  ...silent,
  met: [group],
  found: [{ group, blame, run, strategy: 'random', runs: 7, steps: 70, classes: ['a', 'b'] }],
};
/** So many batches at the setting that deadlocks, of which the first so many meet it, and one at the other. */
function recordsOf(batches: number, met: number): Records {
  const records = new Records(plan.settings.length);
  records.add({ kind: 'canary', run: 3, of: 200 });
  records.add({ kind: 'batch', chain: 1, round: 0, done: silent });
  for (let round = 0; round < batches; round += 1) {
    const done = round === 0 ? meeting : { ...silent, met: [group] };
    records.add({ kind: 'batch', chain: 0, round, done: round < met ? done : silent });
  }
  return records;
}
const entryAt = (order: string): Entry => ({
  format: 1,
  title: 't',
  design: 'canary-abba',
  knobs: { order },
  workload: {},
  schedule: ['one', 'two'],
  expect: { verdict: 'convicted', property: 'no-deadlock', kind: 'circle of mutex' },
  found: { by: 'sweep' },
  sources: [],
  programs: {},
});
const corpusOf = (...entries: Entry[]): Corpus => {
  const all = entries.map((entry) => ({ path: `/corpus/${entry.knobs['order']}.json`, entry }));
  return {
    of: () => undefined,
    at: (setting) =>
      all.filter(
        ({ entry }) => identityOf(entry) === identityOf({ ...entry, design: setting.design, knobs: setting.knobs }),
      ),
  };
};
const newsOf = async (records: Records, corpus: Corpus): Promise<string[]> =>
  (await summaryOf(plan, records, { corpus, properties })).findings.map(
    ({ news, knobs: { order }, met, of }) => `${news} ${order} ${met}/${of}`,
  );

test('a finding is new, known, rare or resolved against the corpus', async () => {
  expect(await newsOf(recordsOf(40, 3), corpusOf())).toEqual(['new opposite 3/40']);
  expect(await newsOf(recordsOf(40, 3), corpusOf(entryAt('opposite')))).toEqual(['known opposite 3/40']);
  // Fewer than one batch in twenty, or none at all while the case of the corpus still shows it.
  expect(await newsOf(recordsOf(40, 1), corpusOf(entryAt('opposite')))).toEqual(['rare opposite 1/40']);
  expect(await newsOf(recordsOf(40, 0), corpusOf(entryAt('opposite')))).toEqual(['rare opposite 0/40']);
  // The same words break nothing where both take the locks in one order: somebody has mended it.
  expect(await newsOf(recordsOf(40, 3), corpusOf(entryAt('opposite'), entryAt('same')))).toEqual([
    'resolved same 0/1',
    'known opposite 3/40',
  ]);
});

test('the same verdict by another circle of debts is a variant, and the verdict is met', async () => {
  const elsewhere = `${group} > somebody else`;
  const records = new Records(plan.settings.length);
  const [first, ...others] = meeting.found;
  if (!first) throw new Error('nothing was found');
  records.add({
    kind: 'batch',
    chain: 0,
    round: 0,
    done: { ...meeting, met: [elsewhere], found: [{ ...first, group: elsewhere }, ...others] },
  });
  expect(await newsOf(records, corpusOf(entryAt('opposite')))).toEqual(['variant opposite 1/1']);
  expect(await newsOf(records, corpusOf())).toEqual(['new opposite 1/1']);
});

test('what is new stands first, however many variants there are', async () => {
  const records = new Records(plan.settings.length);
  const [first] = meeting.found;
  if (!first) throw new Error('nothing was found');
  const variant = { ...first, group: `${group} > somebody else` };
  const other = { ...first, group: 'another', blame: { ...first.blame, kind: 'circle of fence' } };
  const done = { ...meeting, met: [variant.group, other.group], found: [variant, other] };
  records.add({ kind: 'batch', chain: 0, round: 0, done });
  expect(await newsOf(records, corpusOf(entryAt('opposite')))).toEqual(['new opposite 1/1', 'variant opposite 1/1']);
});

test('the same batches are the same text, in whatever order they came', async () => {
  const textOf = async (records: Records): Promise<string> =>
    campaignReport(await summaryOf(plan, records, { corpus: corpusOf(), properties }), PLAIN);
  const backwards = new Records(plan.settings.length);
  for (let round = 2; round >= 0; round -= 1)
    backwards.add({ kind: 'batch', chain: 0, round, done: round === 0 ? meeting : { ...silent, met: [group] } });
  backwards.add({ kind: 'batch', chain: 1, round: 0, done: silent });
  backwards.add({ kind: 'canary', run: 3, of: 200 });
  const text = await textOf(recordsOf(3, 3));
  expect(await textOf(backwards)).toBe(text);
  expect(text).toContain('NEW      canary-abba: no-deadlock (circle of mutex)');
  expect(text).toContain('in 3 of 3 batches; 2 words, not proved: not shrunk yet');
  expect(text).toContain('planted bug was found in run 3');
});
