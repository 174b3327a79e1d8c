import { describe, expect, test } from 'vitest';
import { steps } from '../../corpus/steps.ts';
import { type Case, REBOOT } from '../../model/case.ts';
import { type Booted, boot } from '../../model/design.ts';
import { designs } from '../../model/designs/index.ts';
import { canonical } from '../../model/schema.ts';
import { properties } from '../../properties/index.ts';
import { judge } from '../../properties/judge.ts';
import { signature } from '../../properties/property.ts';
import { Random } from '../../properties/search/random.ts';
import { stepsOf, tell } from '../telling.ts';
import { Trace } from './trace.ts';

const booted = (name: string, knobs: Record<string, string>): Booted => {
  const found = designs.find((each) => each.name === name);
  if (!found) throw new Error(`${name} is gone`);
  return boot(found, knobs);
};
const abba = booted('canary-abba', { order: 'opposite' });
const caseOf = (of: Booted, ...schedule: string[]): Case => ({
  ...{ design: of.design.name, knobs: of.knobs, workload: of.workload },
  schedule,
});
const words = (trace: Trace): string[] => trace.moments.flatMap(({ move }) => (move ? [move.word] : []));

describe('a trace', () => {
  const notifier = booted('notifier-waits-fence', { signaller_allocates: 'GFP_NOFS' });
  const chance = Trace.along(notifier, caseOf(notifier)).further([], new Random(3)).trace;
  const run = caseOf(notifier, ...words(chance));

  test('has the states of a replay, and the lines that a telling has', () => {
    const states = [...steps(notifier, run)].map(({ kernel }) => canonical({ ...kernel, facts: [] }));
    expect(chance.steps).toBeGreaterThan(20);
    expect(chance.moments.slice(1).map(({ kernel }) => canonical({ ...kernel, facts: [] }))).toEqual(states);
    const all = stepsOf(tell(notifier, run, []));
    expect(chance.moments.slice(1).map(({ move }) => [move?.line, move?.lines, move?.stack])).toEqual(
      all.map(({ line, lines, stack }) => [line, lines, stack]),
    );
    expect(chance.moments.slice(1).map(({ move }) => move?.newly)).toEqual(
      all.map(({ blocked }) => blocked.filter(({ newly }) => newly).map(({ thread }) => thread)),
    );
  });
  test('leaves out what cannot be taken, and starts the machine again where it is told to', () => {
    const trace = Trace.along(abba, caseOf(abba, 'nobody', 'one', REBOOT, 'two', 'two', 'one'));
    expect(words(trace)).toEqual(['one', 'two', 'two']);
    expect(trace.moments.map(({ move }) => move?.reboots)).toEqual([undefined, false, true, false]);
    expect(trace.at(2).kernel.locks['a']?.owner).toBeNull();
    // The numbers are those of the story, which its argument speaks of.
    const telling = tell(abba, caseOf(abba, 'one', REBOOT, 'two', 'two'), []);
    expect(stepsOf(telling).map(({ number, word }) => [number, word])).toEqual(
      words(trace).map((word, at) => [at + 1, word]),
    );
  });
});

describe('a branch', () => {
  const trace = Trace.along(abba, caseOf(abba, 'one', 'two'));
  test('shares everything up to where it left, and is nothing where the choice is not there', () => {
    const other = trace.branch(1, 'one');
    expect(words(other as Trace)).toEqual(['one', 'one']);
    expect(other?.at(1)).toBe(trace.at(1));
    expect(words(trace)).toEqual(['one', 'two']);
    expect(trace.branch(2, 'one')).toBeUndefined();
  });
  test('is judged as the judge judges it', () => {
    expect(trace.broken(2, properties).map(signature)).toEqual(['no-deadlock (circle of mutex)']);
    expect(trace.broken(1, properties)).toEqual([]);
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const { trace: further, ending } = trace.until(0).further(properties, new Random(seed));
      const { verdicts } = judge(abba, caseOf(abba, ...words(further)), properties);
      const kept = verdicts.map(({ blame }) => signature(blame)).filter((name) => !name.startsWith('lock-order'));
      expect(further.broken(further.steps, properties).map(signature)).toEqual(kept);
      expect(ending).toBe(kept.length > 0 ? 'broken' : 'at rest');
    }
  });
  test('with turns for everybody it ends at rest where somebody took both locks, and broken where nobody can', () => {
    expect(trace.branch(1, 'one')?.further(properties).ending).toBe('at rest');
    expect(trace.until(0).further(properties).ending).toBe('broken');
  });
});
