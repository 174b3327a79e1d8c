import { describe, expect, test } from 'vitest';
import { type Design, boot } from '../../model/design.ts';
import { designs } from '../../model/designs/index.ts';
import { properties } from '../index.ts';
import { judge } from '../judge.ts';
import { signature } from '../property.ts';
import { fuzz } from './fuzz.ts';
import { strategies, strategiesNamed } from './strategies/index.ts';

const named = (name: string): Design => designs.find((each) => each.name === name) as Design;
const LITTLE = { seed: 42, runs: 500, steps: 20_000, properties };

describe('canaries', () => {
  // 500 runs: the ABBA canary falls in about every third random run, the forgotten signal in every second.
  for (const strategy of strategies) {
    test(`every strategy convicts both: ${strategy.name}`, () => {
      const abba = fuzz(boot(named('canary-abba'), { order: 'opposite' }), { ...LITTLE, strategies: [strategy.name] });
      expect(abba.findings.map(({ blame }) => blame.property).sort()).toEqual(['lock-order', 'no-deadlock']);
      const forgotten = fuzz(boot(named('canary-signal-forgotten'), { on_error: 'forgets' }), {
        ...LITTLE,
        strategies: [strategy.name],
      });
      expect(forgotten.findings.map(({ blame }) => blame.property)).toContain('fence-signals');
    });
    test(`none convicts their tame twins: ${strategy.name}`, () => {
      expect(
        fuzz(boot(named('canary-abba'), { order: 'same' }), { ...LITTLE, strategies: [strategy.name] }).findings,
      ).toEqual([]);
      expect(fuzz(boot(named('canary-signal-forgotten')), { ...LITTLE, strategies: [strategy.name] }).findings).toEqual(
        [],
      );
    });
  }
});

describe('a fuzz', () => {
  const booted = boot(named('notifier-waits-fence'), { signaller_allocates: 'GFP_NOFS' });
  const walks = { ...LITTLE, strategies: ['random', 'pct'] };

  test('played twice is the same: findings, schedules, counts', () => {
    const again = boot(named('notifier-waits-fence'), { signaller_allocates: 'GFP_NOFS' });
    expect(fuzz(again, walks)).toEqual(fuzz(booted, walks));
  });
  test('with another seed takes other schedules', () => {
    expect(fuzz(booted, { ...walks, seed: 43 }).findings.map(({ run }) => run.schedule)).not.toEqual(
      fuzz(booted, walks).findings.map(({ run }) => run.schedule),
    );
  });
  test('reports nothing that the judge, on plain objects, does not convict too', () => {
    const { findings } = fuzz(booted, walks);
    expect(findings.length).toBeGreaterThan(2);
    for (const { blame, run } of findings)
      expect(judge(booted, run, properties).verdicts.map((verdict) => signature(verdict.blame))).toContain(
        signature(blame),
      );
  });
  test('stays within its steps, and says how many it took', () => {
    const short = fuzz(booted, { ...walks, steps: 1_000 });
    expect(short.steps).toBeLessThan(1_000 + 2_500);
    expect(fuzz(booted, walks).steps).toBeGreaterThan(short.steps);
  });
  test('refuses an unknown strategy and lists those there are', () => {
    expect(() => strategiesNamed(strategies, ['clever'])).toThrow(
      'unknown strategy "clever"; there are: random, pct, breadth-first',
    );
  });
});
