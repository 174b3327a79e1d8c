/** Tell one finding, work out how likely it had become, and write its page. */
import { writeWhole } from '../../corpus/store.ts';
import type { Case } from '../../model/case.ts';
import type { Blame } from '../../properties/property.ts';
import { oddsAlong } from '../../properties/search/odds.ts';
import { findingPage } from '../../reports/html/document.ts';
import { caseOfFinding, findingOf } from '../../reports/html/finding.ts';
import { PLAIN } from '../../reports/reporter.ts';
import { story } from '../../reports/story.ts';
import { stepsOf, tell } from '../../reports/telling.ts';
import { bootSetting, chooseProperties } from '../designs.ts';
import { version } from '../files.ts';
import { pageAssets } from '../pages.ts';
import { heeding } from '../refusal.ts';
import type { Common } from './task.ts';

export interface PageTask extends Common {
  readonly kind: 'page';
  readonly run: Case;
  readonly want: Pick<Blame, 'property' | 'kind'>;
  readonly patient: boolean;
  /** The file to write. */
  readonly path: string;
  /** What to paste to see it again. */
  readonly again: string;
  /** 'proved', or why a shorter one may exist. */
  readonly shortest?: string;
}
export interface PageDone {
  readonly steps: number;
  /** The verdict in a sentence; nothing when the case breaks nothing any more. */
  readonly what?: string;
}

/** @throws a refusal when the file cannot be written, or the pages' script is not built */
export async function paging(task: PageTask): Promise<PageDone> {
  const { setting, properties, run, want, patient, path, again, shortest } = task;
  const booted = await bootSetting(setting);
  const props = chooseProperties(properties);
  const telling = heeding(() => tell(booted, { ...run, knobs: booted.knobs }, props, want, patient), path);
  const { blame } = telling;
  const nothing = { kind: 'none', why: 'nothing is broken' } as const;
  const besides = { version, again, patient, ...(shortest === undefined ? {} : { shortest }) };
  const bare = findingOf(booted, telling, { ...besides, odds: nothing });
  const odds = blame ? oddsAlong(booted, caseOfFinding(bare), props, blame, { patient }) : nothing;
  const text = findingPage({ ...bare, odds }, story.render(telling, PLAIN), pageAssets());
  heeding(() => writeWhole(path, text), path);
  return { steps: stepsOf(telling).length, ...(blame ? { what: blame.what } : {}) };
}
