import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { boot, settings, start } from '../../model/design.ts';
import { designs } from '../../model/designs/index.ts';
import { dieHard, petersons, philosophers, towersOfHanoi } from './classics/small.ts';
import { twoPhaseCommit } from './classics/two-phase-commit.ts';
import { Learned } from './learned.ts';
import { type Count, type Errors, countOf, difference, panSays, promela, recount } from './promela.ts';
import { smallSystems } from './small-systems.ts';
import { type System, kernelSystem } from './system.ts';

type Values = Readonly<Record<string, number>>;
type Guard = (values: Values) => boolean;

/**
 * The printed subset of Promela, read again from its text and explored on plain objects: nothing but the text is
 * shared with the printer. It answers in the words of Spin's verifier.
 */
function explored(text: string): string {
  const bare = text.replace(/\/\*.*?\*\//g, '');
  const first = Object.fromEntries(
    [...bare.matchAll(/^(?:byte|short|int) (\w+) = (\d+);/gm)].map(([, name, value]) => [
      name as string,
      Number(value),
    ]),
  );
  const macros = new Map(
    [...bare.matchAll(/^#define (\w+) ((?:.*\\\n)*.*)$/gm)].map(([, name, body]) => [
      name as string,
      (body as string).replaceAll('\\\n', ''),
    ]),
  );
  const guard = (source: string): Guard => {
    const parts = (on: string): string[] => source.trim().split(on);
    if (source.includes('||')) {
      const any = parts('||').map((part) => guard(part.trim().replace(/^\((.*)\)$/, '$1')));
      return (values) => any.some((each) => each(values));
    }
    const all = parts('&&').map((part): Guard => {
      const [, macro] = /^\s*!\((\w+)\)\s*$/.exec(part) ?? [];
      if (macro !== undefined) {
        const inner = guard(macros.get(macro) as string);
        return (values) => !inner(values);
      }
      const [, name, value] = /^\s*\(?(\w+) == (\d+)\)?\s*$/.exec(part) ?? [];
      if (name === undefined) {
        const constant = part.trim();
        if (constant !== 'true' && constant !== 'false') throw new Error(`not understood: ${part}`);
        return () => constant === 'true';
      }
      if (!(name in first)) throw new Error(`undeclared: ${name}`);
      return (values) => values[name] === Number(value);
    });
    return (values) => all.every((each) => each(values));
  };
  const commands = [...bare.matchAll(/:: d_step \{ (.*?) -> (.*?) \}/g)].map(([, when, then]) => ({
    when: guard(when as string),
    fails: then === 'assert(false)',
    writes: [...(then as string).matchAll(/(\w+) = (\d+)/g)].map(
      ([, name, value]) => [name as string, Number(value)] as const,
    ),
  }));
  const seen = new Set([JSON.stringify(first)]);
  const queue: Values[] = [first];
  let transitions = 0;
  let errors = 0;
  for (const values of queue) {
    const enabled = commands.filter(({ when }) => when(values));
    if (enabled.length === 0) errors += 1;
    for (const { writes, fails } of enabled) {
      transitions += 1;
      if (fails) errors += 1;
      const after: Values = { ...values, ...Object.fromEntries<number>(writes) };
      const key = JSON.stringify(after);
      if (seen.has(key)) continue;
      seen.add(key);
      queue.push(after);
    }
  }
  return `State-vector 36 byte, depth reached 7, errors: ${errors}\n ${seen.size} states, stored\n ${transitions + 1} transitions (= stored+matched)\n`;
}

interface Printed {
  readonly ours: Count;
  readonly text: string;
}
function printed<S extends object, F>(
  system: System<S, F>,
  { from = system.boot, patient = true, errors = 'stuck' }: { from?: S; patient?: boolean; errors?: Errors } = {},
): Printed {
  const learned = new Learned(system);
  const packed = learned.packing.pack(from);
  const ours = countOf(learned, packed, { patient, maxStates: 50_000 });
  return { ours, text: promela(learned, packed, { patient, errors }) };
}
const disagreement = ({ ours, text }: Printed, errors: Errors = 'stuck'): string | undefined =>
  difference(ours, recount(text, { run: explored }), errors);

describe('the printed model, read again and explored by other code, has the same states, steps and stuck states', () => {
  const both = <S extends object>(system: System<S, never>): void => {
    expect(disagreement(printed(system))).toBeUndefined();
    expect(disagreement(printed(system, { errors: 'resting' }), 'resting')).toBeUndefined();
  };
  test('Die Hard', () => both(dieHard()));
  test("Peterson's algorithm", () => both(petersons()));
  test('three philosophers', () => both(philosophers(3)));
  test('two-phase commit with 3', () => both(twoPhaseCommit(3)));
  test('the Towers of Hanoi with 4 disks', () => both(towersOfHanoi(4)));

  test('random small systems, in patient time and at any time', () => {
    let timed = 0;
    fc.assert(
      fc.property(smallSystems, fc.boolean(), (booted, patient) => {
        const from = start(booted, booted.workload);
        const options = { from, patient, errors: 'resting' as const };
        let one: Printed;
        try {
          one = printed(kernelSystem(booted.machine), options);
        } catch (error) {
          expect((error as Error).message).toMatch(/more than 50000 states/);
          return;
        }
        if (one.ours.states > 3000) return;
        if (one.text.includes('&& !(OWED) ->')) timed += 1;
        expect(disagreement(one, 'resting')).toBeUndefined();
      }),
      { numRuns: 40, seed: 31 },
    );
    expect(timed).toBeGreaterThan(2);
  });

  test('the smallest setting of every design', () => {
    for (const design of designs) {
      const booted = boot(design, settings(design)[0]);
      const one = printed(kernelSystem(booted.machine), { from: start(booted, booted.workload) });
      if (one.ours.states < 1500) expect(disagreement(one), design.name).toBeUndefined();
    }
  });
});

describe('the comparison can fail', () => {
  test('when a command is lost, when one writes something else, and when a guard is too wide', () => {
    const { ours, text } = printed(petersons());
    const lines = text.split('\n');
    const commands = lines.flatMap((line, at) => (line.includes('d_step') ? [at] : []));
    expect(commands.length).toBeGreaterThan(8);
    for (const at of commands) {
      const without = lines.filter((_, other) => other !== at).join('\n');
      expect(disagreement({ ours, text: without }), lines[at]).toMatch(/by Spin/);
      const odd = lines.map((line, other) => (other === at ? line.replace(/= (\d+)( })/, '= 9$2') : line)).join('\n');
      expect(disagreement({ ours, text: odd }), lines[at]).toMatch(/by Spin/);
      const wide = lines.map((line, other) => (other === at ? line.replace(/\{ .* ->/, '{ true ->') : line)).join('\n');
      expect(disagreement({ ours, text: wide }), lines[at]).toMatch(/by Spin/);
    }
  });

  test('when time is not patient in one of the two', () => {
    const found = designs
      .flatMap((design) =>
        settings(design)
          .slice(0, 2)
          .map((knobs) => boot(design, knobs)),
      )
      .filter(({ machine }) => Object.values(machine.threads).some(({ kind }) => kind === 'timer'))
      .map((booted) => printed(kernelSystem(booted.machine), { from: start(booted, booted.workload) }))
      .filter(({ text, ours }) => text.includes('&& !(OWED) ->') && ours.states < 1500);
    expect(found.length).toBeGreaterThan(0);
    const hasty = found.map(({ ours, text }) => ({ ours, text: text.replaceAll(' && !(OWED) ->', ' ->') }));
    expect(found.map((one) => disagreement(one)).filter((what) => what !== undefined)).toEqual([]);
    expect(hasty.map((one) => disagreement(one)).some((what) => what?.includes('states'))).toBe(true);
  });

  test('when the system was not explored before it was printed', () => {
    const { ours } = printed(philosophers(3));
    const learned = new Learned(philosophers(3));
    const from = learned.packing.pack(learned.system.boot);
    for (let thread = 0; thread < 3; thread += 1) learned.turn(thread, from, 0);
    expect(disagreement({ ours, text: promela(learned, from, { patient: true }) })).toMatch(/^states: /);
  });

  test('when only a stuck state is missing', () => {
    const ours = { states: 4, transitions: 5, stuck: 1, resting: 2 };
    expect(difference(ours, { states: 4, transitions: 5, errors: 1 })).toBeUndefined();
    expect(difference(ours, { states: 4, transitions: 5, errors: 0 })).toBe('stuck states: 1 here, 0 by Spin');
    expect(difference(ours, { states: 4, transitions: 7, errors: 2 }, 'resting')).toBeUndefined();
    expect(difference(ours, { states: 4, transitions: 5, errors: 1 }, 'resting')).toBe(
      'transitions: 7 here, 5 by Spin; resting states: 2 here, 1 by Spin',
    );
  });
});

test('a count is refused when there are too many states to print', () => {
  const learned = new Learned(twoPhaseCommit(4));
  const from = learned.packing.pack(learned.system.boot);
  expect(() => countOf(learned, from, { patient: true, maxStates: 100 })).toThrow(/more than 100 states/);
});

describe("Spin's verifier is taken at its word only when it searched everything", () => {
  const said = `
(Spin Version 6.5.2 -- 6 December 2019)
State-vector 36 byte, depth reached 28, errors: 28
      288 states, stored
      474 states, matched
      762 transitions (= stored+matched)
        0 atomic steps`;
  test('then states, steps and errors are read', () => {
    expect(panSays(said)).toEqual({ states: 288, transitions: 761, errors: 28 });
  });
  test('a search that was cut short, a rounded number, and silence are refused', () => {
    expect(() => panSays(`error: max search depth too small\n${said}`)).toThrow(/did not search everything.*depth/);
    expect(() => panSays(`pan: out of memory\n${said}`)).toThrow(/out of memory/);
    expect(() => panSays(`Warning: Search not completed\n${said}`)).toThrow(/not completed/);
    expect(() => panSays(said.replace('288 states', '1.0340352e+08 states'))).toThrow(/rounds the number of states/);
    expect(() => panSays('nothing')).toThrow(/did not say how many states/);
  });
});

test('text in names cannot end a comment or a line of the printed model', () => {
  const learned = new Learned({ ...petersons(), processes: ['a', 'b', 'odd */ \\\n name'] });
  const from = learned.packing.pack(learned.system.boot);
  countOf(learned, from, { patient: true, maxStates: 100 });
  expect(promela(learned, from, { patient: true })).toContain('/* odd * /   name */\n');
});
