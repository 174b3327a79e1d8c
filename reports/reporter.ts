/**
 * What a report format is: text from data. No files, no clock, no colours of its own, so the same telling is the same
 * text everywhere; how a style looks is handed in by whoever owns the terminal.
 */
import type { Result } from './result.ts';
import type { Row } from './row.ts';
import type { Telling } from './telling.ts';

/** What a piece of text is, for whoever paints it. */
export type Style = 'title' | 'heading' | 'name' | 'step' | 'wait' | 'bad' | 'good' | 'dim';
export type Paint = (style: Style, text: string) => string;
export const plain: Paint = (_style, text) => text;

/** How a report is laid out: its width in columns, and its paint. */
export interface Look {
  readonly width: number;
  readonly paint: Paint;
}
export const PLAIN: Look = { width: 100, paint: plain };

export interface Reporter {
  readonly name: string;
  /** What the format is good for, in a sentence. */
  readonly says: string;
  /** For people: a terminal may lay it out. What is for programs is written as it is. */
  readonly forPeople?: true;
  readonly render: (telling: Telling, look: Look) => string;
}

/** A format that lists the verdicts of exhaustive searches. */
export interface TableFormat {
  readonly name: string;
  readonly says: string;
  readonly render: (rows: readonly Row[], look: Look) => string;
}

/** A format that tells a whole run to another program. */
export interface RunFormat {
  readonly name: string;
  readonly says: string;
  readonly render: (results: readonly Result[]) => string;
}
