/** The report formats there are; one file each. A new format is a new file and its name here. */
import { github, githubRun } from './github.ts';
import { hungTask } from './hung-task.ts';
import { itf } from './itf.ts';
import { json } from './json.ts';
import { junit, junitRun } from './junit.ts';
import { lockdep } from './lockdep.ts';
import { mail } from './mail.ts';
import { markdown } from './markdown.ts';
import { mermaid } from './mermaid.ts';
import { perfetto } from './perfetto.ts';
import type { Reporter, RunFormat, TableFormat } from './reporter.ts';
import { sarif, sarifRun } from './sarif.ts';
import { story } from './story.ts';
import { table } from './table.ts';

/** Formats that tell one case. */
export const reporters: readonly Reporter[] = [
  story,
  hungTask,
  lockdep,
  mail,
  mermaid,
  perfetto,
  itf,
  junit,
  sarif,
  github,
  json,
];
/** Formats that list many verdicts. */
export const tables: readonly TableFormat[] = [table, markdown];
/** Formats that tell a whole run to another program. */
export const runFormats: readonly RunFormat[] = [junitRun, sarifRun, githubRun];
