/** Drivers on one machine: names are only names, strangers do not disturb each other, and what they share they share. */
import { describe, expect, test } from 'vitest';
import { composed, onOneMachine, renamed } from '../model/compose.ts';
import { type Design, type Kernel, type Knobs, boot, design, expected, must, settings } from '../model/design.ts';
import { designs } from '../model/designs/index.ts';
import { mutex_lock, mutex_unlock } from '../model/objects/index.ts';
import { properties } from './index.ts';
import { signature } from './property.ts';
import { type Sweep as Swept, sweep } from './search/sweep.ts';

const named = (name: string): Design => designs.find((each) => each.name === name) as Design;
const said = (of: Design, knobs: Knobs, maxStates = Number.MAX_SAFE_INTEGER): Swept =>
  sweep(boot(of, knobs), properties, { maxStates });
const summary = ({ states, transitions, depth, findings, witnesses }: Swept): unknown => [
  states,
  transitions,
  depth,
  findings.map(({ blame, schedule }) => `${signature(blame)} in ${schedule.length}`).sort(),
  witnesses.size,
];
const found = ({ findings }: Swept): string[] => [...new Set(findings.map(({ blame }) => blame.property))].sort();

/** The same design under other names. */
const elsewhere = (of: Design): Design => ({
  ...of,
  kernel: (knobs) => renamed(of.kernel(knobs), (name) => `x.${name}`),
});

describe('names are only names', () => {
  const alike = (of: Design, knobs: Knobs, states?: number): void => {
    const [plain, other] = [of, elsewhere(of)].map((each) => summary(said(each, knobs, states)));
    expect(other, `${of.name} ${JSON.stringify(knobs)}`).toEqual(plain);
  };
  test.each(designs)('$name under other names has the same states, depth and findings, as far as we look', (each) => {
    alike(each, settings(each).at(-1) as Knobs, 400);
  });
  test.each(designs)('so has every setting of $name, to the end', { tags: ['long', 'overnight'] }, (each) => {
    for (const knobs of settings(each)) alike(each, knobs);
  });
  test('a name that is left behind is seen at boot', () => {
    const kernel: Kernel = {
      objects: { locks: { a: {} } },
      threads: { one: must([mutex_lock('a'), mutex_unlock('a')]) },
    };
    const bad: Kernel = { ...renamed(kernel, (name) => `x.${name}`), objects: { locks: { a: {} } } };
    const of = design({ name: 'bad', title: '', sources: [], knobs: {}, kernel: () => bad, expect: [] });
    expect(() => boot(of)).toThrow('unknown locks "x.a"');
  });
});

describe('strangers on one machine', () => {
  test('have the product of their states, and the sum of their depths', () => {
    const of = composed('both', [named('canary-abba'), named('canary-signal-forgotten')]);
    for (const knobs of settings(of)) {
      const [one, other] = [named('canary-abba'), named('canary-signal-forgotten')].map((each) =>
        said(each, Object.fromEntries(Object.keys(each.knobs).map((knob) => [knob, knobs[knob] ?? '']))),
      ) as [Swept, Swept];
      const both = said(of, knobs);
      expect([both.states, both.depth]).toEqual([one.states * other.states, one.depth + other.depth]);
      expect(found(both)).toEqual([...new Set([...found(one), ...found(other)])].sort());
    }
  });
  test('a design beside itself is two drivers', () => {
    const abba = named('canary-abba');
    const of = composed('twice', [abba, abba]);
    expect(Object.keys(of.knobs)).toEqual(['canary-abba.1.order', 'canary-abba.2.order']);
    const alone = said(abba, { order: 'same' });
    expect(said(of, settings(of)[0] as Knobs).states).toBe(alone.states ** 2);
  });
});

describe('what is shared', () => {
  const pins = named('pin-everything-driver');
  const shrinks = named('shrinker-waits-fence');
  const alone = { neighbour: 'none', allocation: 'GFP_KERNEL', signaller_allocates: 'no' };
  const of = composed('pair', [pins, shrinks], [['shared_bo', 'bo']]);

  test('a driver that hangs nowhere alone hangs beside a shrinker that waits, and not beside one that does not', () => {
    expect(found(said(pins, { neighbour: 'none', allocation: 'GFP_KERNEL' }))).not.toContain('no-deadlock');
    const beside = (shrinker: string): string[] =>
      found(sweep(boot(of, { ...alone, shrinker }), properties, { maxStates: 20_000 }));
    expect(beside('trylock_and_wait')).toContain('no-deadlock');
    expect(beside('trylock_no_wait')).not.toContain('no-deadlock');
  });
  test('without the buffer between them they do not hang', () => {
    const apart = composed('pair', [pins, shrinks]);
    const { findings } = sweep(boot(apart, { ...alone, shrinker: 'trylock_and_wait' }), properties, {
      maxStates: 20_000,
    });
    expect(found({ findings } as unknown as Swept)).not.toContain('no-deadlock');
  });
  test('what each is convicted of alone, and what both are acquitted of, is expected of the pair', () => {
    expect(expected(of, { ...alone, shrinker: 'trylock_no_wait' })).toMatchObject({
      convicts: ['no-alloc-in-signalling'],
    });
    const clean = expected(of, { ...alone, allocation: 'none', shrinker: 'trylock_no_wait' });
    expect(clean?.acquits).toBe(true);
    expect(clean?.witnesses).toContain('run_job after its fence was published');
  });
  test('a name that only one of them has cannot be shared; and two of one name must agree', () => {
    expect(() => composed('pair', [pins, shrinks], [['shared_bo']])).toThrow(
      'is not in two of the drivers; there are:',
    );
    const lock = (irq: boolean): Kernel => ({ objects: { locks: { a: { irq } } }, threads: {} });
    expect(() => onOneMachine({ one: lock(true), other: lock(false) }, [['a']])).toThrow(
      'two drivers disagree about a',
    );
    expect(Object.keys(onOneMachine({ one: lock(true), other: lock(false) }).objects?.['locks'] ?? {})).toEqual([
      'one.a',
      'other.a',
    ]);
  });
});
