/** The telling as JSON with sorted keys: for other programs, and for comparing two tellings with diff. */
import { canonical } from '../model/schema.ts';
import type { Reporter } from './reporter.ts';

const INDENT = 2;

export const json: Reporter = {
  name: 'json',
  says: 'everything the other formats are made of, as data',
  render: (telling) => `${JSON.stringify(JSON.parse(canonical(telling)), null, INDENT)}\n`,
};
