import { describe, expect, test } from 'vitest';
import { type Booted, boot, settings } from '../../model/design.ts';
import { designs } from '../../model/designs/index.ts';

import { properties } from '../../properties/index.ts';
import { judge } from '../../properties/judge.ts';
import { signature } from '../../properties/property.ts';
import { sweep } from '../../properties/search/sweep.ts';
import { tell } from '../telling.ts';
import { citation } from './citations.ts';
import { findingPage } from './document.ts';
import { type Listed, listingPage } from './listing.ts';
import { type Finding, bootFinding, caseOfFinding, findingOf } from './finding.ts';

const besides = { version: '0', odds: { kind: 'none', why: 'nobody asked' }, again: '', patient: true } as const;
const told = (booted: Booted, schedule: readonly string[] = []): Finding => {
  const { design, knobs, workload } = booted;
  const telling = tell(booted, { design: design.name, knobs, workload, schedule }, properties);
  return findingOf(booted, telling, besides);
};
const through = (finding: Finding): Finding => JSON.parse(JSON.stringify(finding)) as Finding;
/** Boot of the data is boot of the design: what is left of rows is what they were asked for. */
const machineOf = ({ machine, calls, workload }: Booted) => ({
  programs: machine.programs,
  boot: machine.boot,
  threads: Object.entries(machine.threads).map(([name, { rows, ...thread }]) => [name, thread, rows?.(name) ?? {}]),
  calls,
  workload,
});

describe('a finding as data', () => {
  test.each(designs.map((design) => [design.name, design] as const))(
    '%s boots again, from JSON, to the same machine at every setting',
    (_name, design) => {
      for (const knobs of settings(design)) {
        const booted = boot(design, knobs);
        const again = bootFinding(through(told(booted)));
        expect(machineOf(again)).toEqual(machineOf(booted));
      }
    },
  );

  test('breaks the same on the machine booted from it, circle or not', () => {
    const [some] = designs.filter(({ name }) => name === 'evict-with-ticket');
    const booted = boot(some as (typeof designs)[number], {
      edeadlk: 'swallowed_as_ENOMEM',
      on_enomem: 'tries_again',
    });
    const { findings } = sweep(booted, properties);
    expect(findings.some(({ loop }) => loop !== undefined)).toBe(true);
    for (const { blame, schedule, loop } of findings) {
      const { design, knobs, workload } = booted;
      const run = { design: design.name, knobs, workload, schedule, ...(loop ? { loop } : {}) };
      const finding = through(findingOf(booted, tell(booted, run, properties, blame), besides));
      const { verdicts } = judge(bootFinding(finding), caseOfFinding(finding), properties);
      expect(verdicts.map((each) => signature(each.blame))).toContain(signature(blame));
    }
  });
});

describe('the file', () => {
  const page = (title: string, story = ''): string =>
    findingPage({ design: 'a', title }, story, { script: 'go()', style: '', licenses: 'MIT' });

  test('holds what comes from outside as text only, wherever it stands', () => {
    const evil = '</script><script>alert(1)</script><!--';
    const text = page(evil, evil);
    expect(text.match(/<script/g)).toHaveLength(2);
    expect(text).not.toContain('alert(1)</script>');
    const [, data] = /id="finding">(.*?)<\/script>/.exec(text) ?? [];
    expect((JSON.parse(data ?? '') as { title: string }).title).toBe(evil);
  });
  test('forbids every request', () => {
    expect(page('t')).toContain("default-src 'none'");
  });
});

describe('the index', () => {
  const row = (more: Partial<Listed>): Listed => ({
    ...{ design: 'a', title: 't', knobs: 'k=1', verdict: 'acquitted', findings: [] },
    ...more,
  });
  const found = { signature: 'no-deadlock (circle)', what: 'a waits for <b>', steps: 2, href: 'a b.html' };
  const index = (...rows: Listed[]): string => listingPage('all', rows, '');

  test('counts, links each finding to its page, and shows only what somebody said', () => {
    const text = index(row({}), row({ knobs: 'k=2', verdict: 'convicted', findings: [found] }));
    expect(text).toContain('2 settings of 1 design, 1 convicted, 1 finding.');
    expect(text).toContain('<a href="a%20b.html">no-deadlock (circle)</a> in 2 steps');
    expect(text).toContain('a waits for &lt;b&gt;');
    expect(text).not.toContain('>Expected<');
    expect(text).not.toContain('>States<');
  });
  test('says what is as it should be, what is not, and what nobody knows', () => {
    const text = index(
      row({ asExpected: true, expected: 'nothing', states: 1234 }),
      row({ knobs: 'k=2', asExpected: false, expected: 'nothing', verdict: 'convicted', findings: [found] }),
      row({ design: 'b', asExpected: null, expected: 'open' }),
    );
    expect(text).toContain('1 as they should be, 1 not, 1 of which nobody said what to expect');
    expect(text).toContain('>1,234<');
    expect(text.match(/<tr class="odd convicted">/g)).toHaveLength(1);
    expect(text.match(/as expected:/g)).toHaveLength(2);
    expect(text).not.toContain('<script');
  });
});

describe('sources', () => {
  const link = (source: string) => citation(source).filter(({ href }) => href !== undefined);
  test('reads as it was written, whatever becomes a link', () => {
    for (const { sources } of [...designs, ...properties])
      for (const source of sources)
        expect(
          citation(source)
            .map(({ text }) => text)
            .join(''),
        ).toBe(source);
  });
  test('files, documents and mails are links; rules are not', () => {
    expect(link('drivers/dma-buf/dma-fence.c, Documentation/gpu/drm-vm-bind-locking.rst')).toEqual([
      {
        text: 'drivers/dma-buf/dma-fence.c',
        href: 'https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git/tree/drivers/dma-buf/dma-fence.c',
      },
      {
        text: 'Documentation/gpu/drm-vm-bind-locking.rst',
        href: 'https://docs.kernel.org/gpu/drm-vm-bind-locking.html',
      },
    ]);
    const [mail] = link('A. Author, dri-devel, 2020-07-22, "[PATCH] dma-fence as memory fence"');
    expect(decodeURIComponent(mail?.href ?? '')).toBe(
      'https://lore.kernel.org/all/?q=s:"dma-fence as memory fence" d:20200722..20200731',
    );
    expect(link('L-17')).toEqual([]);
    expect(link('C1..C38')).toEqual([]);
  });
});
