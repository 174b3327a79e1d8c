import { describe, expect, test } from 'vitest';
import type { Design } from '../model/design.ts';
import { designs } from '../model/designs/index.ts';
import './vitest.ts';

const abba = designs.find(({ name }) => name === 'canary-abba') as Design;
const said = (run: () => void): string => {
  try {
    run();
  } catch (error) {
    return (error as Error).message;
  }
  return '';
};

describe('the matchers', () => {
  test('acquit and convict as check does', () => {
    expect(abba).toBeAcquitted({ knobs: { order: 'same' } });
    expect(abba).toBeConvictedBy('no-deadlock', { knobs: { order: 'opposite' } });
    expect(abba).toBeConvictedBy('lock-order', { knobs: { order: 'opposite' } });
    expect(abba).not.toBeAcquitted();
    expect(abba).not.toBeConvictedBy('no-deadlock', { knobs: { order: 'same' } });
    expect(abba).not.toBeConvictedBy('no-leak');
    expect(abba).toBeAcquitted({ properties: ['no-leak'] });
  });
  test('fail with the story, in both directions', () => {
    const text = said(() => expect(abba).toBeAcquitted());
    expect(text).toMatch(/^canary-abba order=opposite is convicted of no-deadlock \(circle of mutex\)\n/);
    expect(text).toContain('A waits for B, because B holds b. However, B waits for A');
    const contrary = said(() => expect(abba).not.toBeConvictedBy('no-deadlock', { knobs: { order: 'opposite' } }));
    expect(contrary).toContain('However, B waits for A');
  });
  test('a conviction must hold at every setting that is asked for', () => {
    expect(said(() => expect(abba).toBeConvictedBy('no-deadlock'))).toMatch(
      /^canary-abba order=same does not break no-deadlock in any of \d+ states; it breaks: nothing$/,
    );
  });
  test('an acquittal without what the design wants to have been seen is none', () => {
    const [first, second] = abba.expect as [Design['expect'][0], Design['expect'][0]];
    const blind = { ...abba, expect: [first, { ...second, witnesses: ['the moon'] }] };
    expect(said(() => expect(blind).toBeAcquitted({ knobs: { order: 'same' } }))).toMatch(/never seen that: the moon$/);
  });
  test('a search that did not end is no verdict, behind .not either', () => {
    const stopped = /canary-abba order=same was not searched in full: stopped after \d+ states/;
    const short = { maxStates: 3, knobs: { order: 'same' } };
    expect(said(() => expect(abba).toBeAcquitted(short))).toMatch(stopped);
    expect(said(() => expect(abba).not.toBeAcquitted(short))).toMatch(stopped);
    expect(said(() => expect(abba).not.toBeConvictedBy('no-leak', short))).toMatch(stopped);
  });
  test('refuse what is no design, no knob, no property, saying what exists', () => {
    expect(said(() => expect(1).toBeAcquitted())).toMatch(/this is about a design/);
    expect(said(() => expect(abba).toBeAcquitted({ knobs: { colour: 'red' } }))).toMatch(
      /no knob "colour"; there are: order/,
    );
    expect(said(() => expect(abba).toBeAcquitted({ knobs: { order: 'red' } }))).toMatch(/it can be: same, opposite/);
    expect(said(() => expect(abba).not.toBeConvictedBy('no-luck' as never))).toMatch(
      /unknown property "no-luck"; there are: .*no-deadlock/,
    );
  });
});
