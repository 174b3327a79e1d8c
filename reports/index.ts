/** The report formats there are; one file each. A new format is a new file and its name here. */
import { story } from './story.ts';
import type { Reporter } from './reporter.ts';

export const reporters: readonly Reporter[] = [story];
