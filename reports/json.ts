/** The telling as JSON with sorted keys: for other programs, and for comparing two tellings with diff. */
import { canonical } from '../model/schema.ts';
import type { Reporter } from './reporter.ts';

const INDENT = 2;

/** Any data of ours, the same text for equal data. */
export const asJson = (value: unknown): string => `${JSON.stringify(JSON.parse(canonical(value)), null, INDENT)}\n`;

export const json: Reporter = {
  name: 'json',
  says: 'everything the other formats are made of, as data',
  render: asJson,
};
