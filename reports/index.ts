/** The report formats there are; one file each. A new format is a new file and its name here. */
import { hungTask } from './hung-task.ts';
import { json } from './json.ts';
import { lockdep } from './lockdep.ts';
import { markdown } from './markdown.ts';
import type { Reporter, TableFormat } from './reporter.ts';
import { story } from './story.ts';
import { table } from './table.ts';

/** Formats that tell one case. */
export const reporters: readonly Reporter[] = [story, hungTask, lockdep, json];
/** Formats that list many verdicts. */
export const tables: readonly TableFormat[] = [markdown, table];
