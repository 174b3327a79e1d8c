/**
 * Matchers for the user's own test suite: `import 'fenceproof/vitest'`, then `expect(design).toBeAcquitted()` and
 * `expect(design).toBeConvictedBy('no-deadlock')`. Both search every state; when one fails, its text is the story.
 *
 * A search that did not end is neither verdict: it is an error, also behind `.not`.
 */
import { expect } from 'vitest';
import { caseAt } from '../model/case.ts';
import {
  type Booted,
  type Design,
  type Knobs,
  type PropertyName,
  boot,
  expected,
  settings,
  showKnobs,
} from '../model/design.ts';
import { properties } from '../properties/index.ts';
import { type Property, signature } from '../properties/property.ts';
import type { Finding } from '../properties/search/observer.ts';
import { DEFAULT_MAX_STATES, type Sweep, sweep } from '../properties/search/sweep.ts';
import { PLAIN } from '../reports/reporter.ts';
import { storyOf } from './retell.ts';

/** Which settings of the design, and how far to search. */
export interface SearchedAt {
  /** Only settings with these knob values; all settings without it. */
  readonly knobs?: Knobs;
  /** Judge by these properties only. */
  readonly properties?: readonly PropertyName[];
  /** Give up after this many states of a setting: 5,000,000 without it. */
  readonly maxStates?: number;
}

declare module 'vitest' {
  // oxlint-disable-next-line no-unused-vars, typescript/no-explicit-any
  interface Matchers<T = any> {
    /** Nothing is broken in any state of any of these settings, and what the design wants to have been seen was seen. */
    toBeAcquitted(at?: SearchedAt): void;
    /** At each of these settings, some execution breaks this property. */
    toBeConvictedBy(property: PropertyName, at?: SearchedAt): void;
  }
}

interface Searched {
  readonly booted: Booted;
  readonly swept: Sweep;
}
interface Answer {
  readonly pass: boolean;
  readonly message: () => string;
}

const isDesign = (value: unknown): value is Design =>
  value !== null && typeof value === 'object' && 'kernel' in value && 'knobs' in value;

function propertiesOf(names: readonly string[]): readonly Property[] {
  const odd = names.find((name) => !properties.some((each) => each.name === name));
  if (odd !== undefined)
    throw new Error(`unknown property "${odd}"; there are: ${properties.map(({ name }) => name).join(', ')}`);
  return properties.filter(({ name }) => names.includes(name));
}

/** Search the settings that were asked for. @throws when there is none, or the design cannot be booted */
function search(
  received: unknown,
  { knobs = {}, properties: names, maxStates = DEFAULT_MAX_STATES }: SearchedAt,
): Searched[] {
  if (!isDesign(received)) throw new Error('this is about a design: expect(design({ … }))');
  boot(received, knobs); // an unknown knob is refused with what exists
  const props = names ? propertiesOf(names) : properties;
  return settings(received, knobs).map((each) => {
    const booted = boot(received, each);
    return { booted, swept: sweep(booted, props, { maxStates }) };
  });
}

const nameOf = ({ booted: { design, knobs } }: Searched): string => `${design.name} ${showKnobs(knobs)}`.trim();
const told = ({ booted }: Searched, finding: Finding): string => {
  const run = caseAt(booted, booted.workload, finding);
  return storyOf(booted, run, properties, finding.blame, PLAIN);
};
function mustBeComplete(searched: Searched): void {
  if (!searched.swept.complete) throw new Error(`${nameOf(searched)} was not searched in full: ${searched.swept.why}`);
}

function toBeAcquitted(received: unknown, at: SearchedAt = {}): Answer {
  const all = search(received, at);
  for (const each of all) {
    const [finding] = each.swept.findings;
    if (finding)
      return {
        pass: false,
        message: () => `${nameOf(each)} is convicted of ${signature(finding.blame)}\n\n${told(each, finding)}`,
      };
    mustBeComplete(each);
    const { witnesses = [] } = expected(each.booted.design, each.booted.knobs) ?? {};
    const unseen = witnesses.filter((name) => !each.swept.witnesses.has(name));
    if (unseen.length > 0)
      return {
        pass: false,
        message: () => `${nameOf(each)} never got there; it was never seen that: ${unseen.join('; ')}`,
      };
  }
  return { pass: true, message: () => `${all.map(nameOf).join(', ')}: nothing is broken, and something should be` };
}

function toBeConvictedBy(received: unknown, property: PropertyName, at: SearchedAt = {}): Answer {
  propertiesOf([property]);
  const all = search(received, at);
  const found = all.map((each) => ({
    each,
    finding: each.swept.findings.find(({ blame }) => blame.property === property),
  }));
  for (const { each, finding } of found) if (!finding) mustBeComplete(each);
  const without = found.find(({ finding }) => !finding);
  if (without)
    return {
      pass: false,
      message: () => {
        const others = without.each.swept.findings.map(({ blame }) => signature(blame)).join(', ');
        return `${nameOf(without.each)} does not break ${property} in any of ${without.each.swept.states} states; it breaks: ${others || 'nothing'}`;
      },
    };
  const [first] = found;
  return {
    pass: true,
    message: () =>
      first?.finding ? `${nameOf(first.each)} breaks ${property}\n\n${told(first.each, first.finding)}` : '',
  };
}

expect.extend({ toBeAcquitted, toBeConvictedBy });
