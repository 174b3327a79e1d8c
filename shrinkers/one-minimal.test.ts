import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Case, choices, follow, word } from '../model/case.ts';
import { type Booted, type Design, design, expected, ioctl, must, settings, start } from '../model/design.ts';
import { designs } from '../model/designs/index.ts';
import type { Block } from '../model/machine.ts';
import {
  goto,
  if_ret,
  label,
  may_go,
  mutex_lock,
  mutex_trylock,
  mutex_unlock,
  user,
  work_a_while,
} from '../model/objects/index.ts';
import { properties } from '../properties/index.ts';
import { judge } from '../properties/judge.ts';
import { type Blame, signature } from '../properties/property.ts';
import { sweep } from '../properties/search/sweep.ts';
import { booting } from './booting.ts';
import { isOneMinimal, stillReducible } from './one-minimal.ts';
import { shrink } from './shrink.ts';

const SEED = 20_210;
const BUDGET = 1_000_000;
/** Larger designs are searched by the campaign; here a prefix of their states yields findings enough. */
const MOST_STATES = 4_000;

const locked = (...locks: readonly string[]): Block => [
  ...locks.map((lock) => mutex_lock(lock)),
  ...locks.toReversed().map((lock) => mutex_unlock(lock)),
];
const polite = (mine: string, other: string): Block => [
  label('again'),
  mutex_lock(mine),
  mutex_trylock(other),
  if_ret('0', [mutex_unlock(mine), goto('again')]),
  mutex_unlock(other),
  mutex_unlock(mine),
];
/** A little of everything that can be dropped: calls, processes, weather, a circle, an idle knob. */
const mixed = design({
  name: 'mixed',
  title: 'Calls that deadlock, leak and back off from each other',
  sources: [],
  knobs: { noise: ['none', 'some'] },
  kernel: ({ noise }) => ({
    objects: { locks: { a: {}, b: {}, c: {} } },
    threads: {
      user0: user(),
      user1: user(),
      bystander: user(),
      one: must([may_go('how it begins', ['gently', 'roughly']), polite('a', 'b')]),
      two: must(noise === 'some' ? [work_a_while('hums'), polite('b', 'a')] : polite('b', 'a')),
    },
    calls: {
      idle: ioctl({}, [work_a_while('looks around')]),
      take: ioctl({ way: ['up', 'down'] }, [work_a_while('copies'), locked('a', 'b')]),
      grab: ioctl({}, [may_go('an error', ['no', 'yes']), mutex_lock('b'), if_ret('yes', []), locked('a')]),
    },
    workload: { user0: ['take(down)', 'idle()'], user1: ['idle()', 'grab()'] },
  }),
  expect: [],
});

const bootsOf = new Map([...designs, mixed].map((of) => [of, booting(of)] as const));
const bootAtOf = (of: Design): ((knobs: Case['knobs']) => Booted) => bootsOf.get(of) as ReturnType<typeof booting>;
const convictions = (booted: Booted, run: Case): Blame[] =>
  judge(booted, run, properties).verdicts.map(({ blame }) => blame);
const breaks = (booted: Booted, run: Case, want: Blame): boolean =>
  convictions(booted, run).some((blame) => signature(blame) === signature(want));

/** What is wrong with the shrunk case, or nothing. */
function flaw(of: Design, run: Case, want: Blame, knobs: 'keep' | 'tame' = 'keep'): string | undefined {
  const request = { bootAt: bootAtOf(of), run, want, properties, knobs };
  const shrunk = shrink({ ...request, budget: BUDGET });
  if (!shrunk.complete) return shrunk.why;
  const left = stillReducible({ ...request, run: shrunk.case });
  return left && `${of.name} ${signature(want)}: ${left} can go from ${shrunk.case.schedule.join(' ')}`;
}

describe('a case is not 1-minimal', () => {
  const bootAt = bootAtOf(mixed);
  const of = (run: Omit<Case, 'design' | 'knobs'>, noise = 'none'): Case => ({
    design: 'mixed',
    knobs: { noise },
    ...run,
  });
  const tight = of({
    workload: { user0: ['take(up)'], user1: ['grab()'] },
    schedule: ['user0/take', 'user0', 'user0', 'user1/grab', 'user1/no', 'user1'],
  });
  const want = convictions(bootAt(tight.knobs), tight).find(({ property }) => property === 'no-deadlock') as Blame;
  const left = (run: Case, knobs: 'keep' | 'tame' = 'keep'): string | undefined =>
    stillReducible({ bootAt, run, want, properties, knobs });

  test('unless it is', () => {
    expect(left(tight)).toBeUndefined();
    expect(isOneMinimal({ bootAt, run: tight, want, properties })).toBe(true);
  });
  test('while a word can go', () => {
    expect(left({ ...tight, schedule: ['one', ...tight.schedule] })).toBe('word 1, one');
  });
  test('while a call can go', () => {
    expect(left({ ...tight, workload: { ...tight.workload, user0: ['take(up)', 'idle()'] } })).toBe(
      'call idle() of user0',
    );
  });
  test('while a process can go', () => {
    expect(left({ ...tight, workload: { ...tight.workload, bystander: [] } })).toBe('process bystander');
  });
  test('while a handover can go', () => {
    const schedule = ['user0/take', 'user1/grab', 'user0', 'user0', 'user1/no', 'user1'];
    expect(left({ ...tight, schedule })).toMatch(/^the handover to user/);
  });
  test('while an outcome can be tamer', () => {
    expect(left({ ...tight, schedule: tight.schedule.with(4, 'user1/yes') })).toBe('user1/yes, tamer user1/no');
  });
  test('while a knob can be tamer, if that is asked', () => {
    const wild = { ...tight, knobs: { noise: 'some' } };
    expect(left(wild, 'tame')).toBe('knob noise=none');
    expect(left(wild, 'keep')).toBeUndefined();
  });
  test('while it does not break anything at all', () => {
    expect(left({ ...tight, schedule: [] })).toMatch(/^the verdict/);
  });
  test('after a shrinker without passes', () => {
    const run = { ...tight, schedule: ['one', ...tight.schedule] };
    const lazy = shrink({ bootAt, run, want, properties, budget: BUDGET, passes: [] });
    expect(isOneMinimal({ bootAt, run: lazy.case, want, properties })).toBe(false);
  });
});

describe('everything shrinks to a 1-minimal case with the same verdict', () => {
  /** A walk of the plain kernel: each number chooses among what may happen. */
  const walk = (booted: Booted, numbers: readonly number[]): string[] => {
    const kernel = start(booted, booted.workload);
    const words: string[] = [];
    for (const number of numbers) {
      const all = choices(booted.machine, kernel);
      const choice = all[number % all.length];
      if (!choice) break;
      words.push(word(choice));
      follow(booted.machine, kernel, word(choice));
    }
    return words;
  };
  const anySetting = fc
    .constantFrom(...bootsOf.keys())
    .chain((of) => fc.constantFrom(...settings(of)).map((knobs) => ({ of, knobs })));

  /** A walk in a setting that is acquitted is convicted of nothing, and there are more of them with every design. */
  const anyWrongSetting = anySetting.filter(({ of, knobs }) => expected(of, knobs)?.acquits !== true);

  test('what random walks of any design are convicted of', () => {
    let convicted = 0;
    const numbers = fc.array(fc.nat(), { minLength: 150, maxLength: 150 });
    fc.assert(
      fc.property(anyWrongSetting, numbers, fc.constantFrom('keep', 'tame'), ({ of, knobs }, chosen, taming) => {
        const booted = bootAtOf(of)(knobs);
        const run: Case = { design: of.name, knobs, workload: booted.workload, schedule: walk(booted, chosen) };
        for (const want of convictions(booted, run)) {
          convicted += 1;
          expect(flaw(of, run, want, taming)).toBeUndefined();
        }
      }),
      { numRuns: 45, seed: SEED },
    );
    expect(convicted).toBeGreaterThan(20);
  });

  test('what sweeps find, padded with words that do not matter', () => {
    let padded = 0;
    const findings = new Map<Booted, ReturnType<typeof sweep>['findings']>();
    const extra = fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 25, maxLength: 25 });
    fc.assert(
      fc.property(anySetting, extra, fc.nat(), ({ of, knobs }, additions, which) => {
        const booted = bootAtOf(of)(knobs);
        const found = findings.get(booted) ?? sweep(booted, properties, { maxStates: MOST_STATES }).findings;
        findings.set(booted, found);
        const finding = found[which % found.length];
        if (!finding) return;
        const { blame, schedule, loop } = finding;
        let run: Case = { design: of.name, knobs, workload: booted.workload, schedule, ...(loop ? { loop } : {}) };
        const vocabulary = [...new Set([...schedule, ...Object.keys(booted.machine.threads)])];
        for (const [place, which_word] of additions) {
          const at = place % (run.schedule.length + 1);
          const text = vocabulary[which_word % vocabulary.length] as string;
          const longer = { ...run, schedule: run.schedule.toSpliced(at, 0, text) };
          if (breaks(booted, longer, blame)) run = longer;
        }
        if (run.schedule.length > schedule.length) padded += 1;
        expect(flaw(of, run, blame)).toBeUndefined();
      }),
      { numRuns: 40, seed: SEED },
    );
    expect(padded).toBeGreaterThan(10);
  });
});
