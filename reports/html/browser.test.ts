/** The pages in a real browser: Chromium, without a screen, from file://. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { steps } from '../../corpus/steps.ts';
import { type Case, choices, follow, word } from '../../model/case.ts';
import { type Booted, type Design, boot, design, must, start } from '../../model/design.ts';
import { designs } from '../../model/designs/index.ts';
import { forever, mutex_lock, mutex_unlock, work_a_while } from '../../model/objects/index.ts';
import { properties } from '../../properties/index.ts';
import { oddsAlong } from '../../properties/search/odds.ts';
import { sweep } from '../../properties/search/sweep.ts';
import { chromiumPath, openChromium } from '../chromium.ts';
import { PLAIN } from '../reporter.ts';
import { waitText } from '../shown.ts';
import { story } from '../story.ts';
import { type Telling, tell } from '../telling.ts';
import { type Assets, findingPage } from './document.ts';
import { findingOf } from './finding.ts';
import { listingPage } from './listing.ts';

const room = mkdtempSync(join(tmpdir(), 'fenceproof-page-'));
let browser: Browser;
let assets: Assets;

beforeAll(async () => {
  const configFile = fileURLToPath(new URL('../../page.vite.config.ts', import.meta.url));
  const built = await build({ configFile, logLevel: 'error', build: { write: false } });
  const output = [built].flat().flatMap((each) => ('output' in each ? each.output : []));
  const textOf = (name: string): string => {
    const file = output.find(({ fileName }) => fileName === name);
    return file?.type === 'chunk' ? file.code : String(file?.source);
  };
  assets = { script: textOf('page.js'), style: textOf('page.css'), licenses: textOf('licenses.md') };
  browser = await openChromium();
}, 120_000);
afterAll(async () => {
  await browser?.close();
  rmSync(room, { recursive: true });
});

const named = (name: string): Design => {
  const found = designs.find((each) => each.name === name);
  if (!found) throw new Error(`${name} is gone`);
  return found;
};
/** The first finding of this property at this setting, told. */
function finding(booted: Booted, property: string): { readonly telling: Telling; readonly run: Case } {
  const found = sweep(booted, properties).findings.find(({ blame }) => blame.property === property);
  if (!found) throw new Error(`${booted.design.name} does not break ${property}`);
  const { schedule, loop, blame } = found;
  const { design, knobs, workload } = booted;
  const run = { design: design.name, knobs, workload, schedule, ...(loop ? { loop } : {}) };
  return { telling: tell(booted, run, properties, blame), run };
}
function htmlOf(booted: Booted, telling: Telling, run: Case): string {
  const odds = telling.blame
    ? oddsAlong(booted, run, properties, telling.blame)
    : ({ kind: 'none', why: 'nothing is broken' } as const);
  const besides = { version: '0.0.0', odds, again: 'npx fenceproof replay it.json', patient: true };
  return findingPage(findingOf(booted, telling, besides), story.render(telling, PLAIN), assets);
}

interface Opened {
  readonly page: Page;
  /** Requests that left the page, and complaints of the browser: to stay empty. */
  readonly wrong: string[];
}
async function opened(html: string, options: BrowserContextOptions = {}, ready = '.lanes'): Promise<Opened> {
  const path = join(room, `${Math.random()}.html`);
  writeFileSync(path, html);
  const page = await browser.newPage({ viewport: { width: 1400, height: 900 }, ...options });
  const wrong: string[] = [];
  page.on('request', (request) => void (request.url().startsWith('file:') || wrong.push(request.url())));
  page.on('pageerror', (error) => void wrong.push(error.message));
  page.on('console', (message) => void (message.type() === 'error' && wrong.push(message.text())));
  await page.goto(pathToFileURL(path).href);
  if (options.javaScriptEnabled !== false) await page.waitForSelector(ready);
  return { page, wrong };
}

const notifier = boot(named('notifier-waits-fence'), { signaller_allocates: 'GFP_NOFS' });
const deadlock = finding(notifier, 'no-deadlock');
const abba = boot(named('canary-abba'), { order: 'opposite' });
let html = '';
beforeAll(() => {
  html = htmlOf(notifier, deadlock.telling, deadlock.run);
});
const status = (page: Page) => page.locator('.walk [role=status]').innerText();
const PHONE = { viewport: { width: 360, height: 780 }, hasTouch: true, isMobile: true };

test('without a browser the tests fail, and say how to get one', () => {
  expect(() => chromiumPath(['/nowhere/chromium'])).toThrow('apt-get install chromium');
});

describe('a page', () => {
  test('opens from a disk, asks nobody for anything, and says what the story says', async () => {
    const { page, wrong } = await opened(html);
    const text = await page.locator('body').innerText();
    for (const part of [
      notifier.design.title,
      'Breaks no-deadlock (circle of fence) in 22 steps',
      'Let A = run_job_work',
      'A waits for itself, because A has yet to signal job: A can never go on.',
      'job->hw_fence = kmalloc(GFP_NOFS)',
      'Published and not signalled: job (owed by run_job_work).',
    ])
      expect(text).toContain(part);
    expect(await status(page)).toContain('Step 22 of 22');
    expect(wrong).toEqual([]);
    await page.close();
  });

  test('is below a megabyte', () => {
    expect(html.length).toBeLessThan(1_000_000);
    expect(html.length).toBeGreaterThan(100_000); // it does carry its script, and names whose it is
    expect(html).toContain('Copyright (c) 2012-2014 Chris Pettitt');
  });

  test('says after every step who waits for whom as a replay does, and draws an arrow for each debt', async () => {
    const { page } = await opened(html);
    for (const step of steps(notifier, deadlock.run)) {
      await page.locator('input[type=range]').fill(String(step.number));
      const said = await page.locator('.waits-list li').allInnerTexts();
      expect(said).toEqual(step.waiting.map(({ thread, wait }) => waitText(thread, wait)));
      const debts = step.waiting.flatMap(({ wait }) => wait.owedBy);
      expect(await page.locator('.graph .arrow').count()).toBe(debts.length);
      const slots = await page.locator('.changes dt').allInnerTexts();
      expect(slots).toEqual(step.changes.map(({ slot }) => slot));
    }
    expect(await page.locator('.graph .arrow.for-ever').count()).toBe(1);
    await page.close();
  });

  test('says of every thread why it can go on or why not, in the words of the search', async () => {
    const { page } = await opened(html);
    const why = (name: string) => page.locator('.thread', { hasText: name }).locator('.why').first().innerText();
    expect(await why('run_job_work')).toBe(
      'Cannot go on: run_job_work waits for job: run_job_work has yet to signal job.',
    );
    await page.keyboard.press('Tab');
    await page.locator('.lanes').press('Home');
    expect(await why('run_job_work')).toContain('waits for run_job_work: ');
    expect(await why('user0')).toContain('Can go on');
    await page.close();
  });

  test('another choice leaves the trace, is judged in the page, and leads back', async () => {
    const { page, wrong } = await opened(htmlOf(abba, ...both(abba, 'no-deadlock')));
    await page.locator('.lanes').press('ArrowUp');
    await page.getByRole('button', { name: 'one: go on' }).click();
    expect(await page.locator('.branch').innerText()).toContain(
      'You left the trace after step 1 and took 1 step of your own: nothing is broken so far',
    );
    expect(await status(page)).toContain('Step 2 of 2');
    // The odds are of the trace, so they stay at the step where it was left: no failure is certain on this branch.
    expect(await page.locator('.odds figcaption').innerText()).toContain('50 % after step 1.');
    await page.getByRole('button', { name: 'how likely is the failure from here?' }).click();
    expect(await page.locator('.branch').innerText()).toContain('After step 2 the failure comes with 0 % to 1.88 %');
    await page.getByRole('button', { name: 'let everybody have turns' }).click();
    expect(await page.locator('.branch').innerText()).toContain('nothing that is owed is left to happen');
    await page.getByRole('button', { name: 'back to the trace' }).click();
    expect(await page.locator('.branch').count()).toBe(0);
    await page.locator('.lanes').press('Home');
    await page.getByRole('button', { name: 'two: go on' }).click();
    await page.getByRole('button', { name: 'one: go on' }).click();
    expect(await page.locator('.branch').innerText()).toContain(
      'it breaks no-deadlock (circle of mutex): one, two wait for each other: nobody can go on',
    );
    expect(wrong).toEqual([]);
    await page.close();
  });

  test('the choice of the trace itself stays on it', async () => {
    const { page } = await opened(htmlOf(abba, ...both(abba, 'no-deadlock')));
    await page.locator('.lanes').press('Home');
    await page.getByRole('button', { name: 'one: go on as in the trace' }).click();
    expect(await page.locator('.branch').count()).toBe(0);
    expect(await status(page)).toContain('Step 1 of 2');
    await page.close();
  });

  test('the odds and the point of no return are those of the search', async () => {
    const { page } = await opened(htmlOf(abba, ...both(abba, 'no-deadlock')));
    await page.locator('.lanes').press('Home');
    const caption = await page.locator('.odds figcaption').innerText();
    expect(caption).toContain('exact, from all 19 states');
    expect(caption).toContain('50 % after step 0');
    expect(caption).toContain('up to the very last step, step 2');
    await page.close();
    const order = await opened(htmlOf(abba, ...both(abba, 'lock-order')));
    expect(await order.page.locator('body').ariaSnapshot()).toContain(
      'img "The orders go round: b is taken under a; a is taken under b"',
    );
    expect(await order.page.locator('[aria-labelledby=argument] .graph .arrow').count()).toBe(2);
    await order.page.locator('.lanes').press('Home');
    const completes = await order.page.locator('.odds figcaption').innerText();
    expect(completes).toContain('Here the failure is that all that the verdict rests on has been seen');
    expect(completes).toContain('50 % after step 0');
    expect(order.wrong).toEqual([]);
    await order.page.close();
  });

  test('a link may lead to a step, and the address is always such a link', async () => {
    const { page } = await opened(html);
    await page.locator('.lanes').press('ArrowUp');
    // The browser tells of a changed address a moment later.
    await expect.poll(() => new URL(page.url()).hash).toBe('#after-21');
    await page.goto(page.url().replace('#after-21', '#after-7'));
    await page.reload();
    await page.waitForSelector('.lanes');
    expect(await status(page)).toContain('Step 7 of 22');
    await page.close();
  });

  test('a run after another is shown as one, and the steps keep the numbers of the story', async () => {
    const run: Case = { ...deadlock.run, ...{ design: 'canary-abba', knobs: abba.knobs, workload: {} } };
    const schedule = ['one', 'one', 'one', 'one', 'reboot', 'two', 'two'];
    const telling = tell(abba, { ...run, schedule }, properties);
    expect(telling.judgedBy).toBe('orders');
    const { page, wrong } = await opened(htmlOf(abba, telling, { ...run, schedule }));
    expect(await status(page)).toContain('Step 6 of 6');
    expect(await page.locator('.verdict').innerText()).toContain('in 6 steps:');
    expect(await page.locator('.lets').innerText()).toContain('as in step 6 at mutex_lock(&a)');
    expect(await page.locator('.lane-row.reboots').innerText()).toMatch(/^5\s+Another run, from the start:/);
    expect(wrong).toEqual([]);
    await page.close();
  });

  test('a circle is shown as one', async () => {
    const ticket = boot(named('evict-with-ticket'), { edeadlk: 'swallowed_as_ENOMEM', on_enomem: 'tries_again' });
    const { page, wrong } = await opened(htmlOf(ticket, ...both(ticket, 'no-livelock')));
    expect(await page.locator('.lane-row.loop').count()).toBeGreaterThan(0);
    expect(await page.locator('.verdict').innerText()).toContain('go round for ever');
    expect(wrong).toEqual([]);
    await page.close();
  });
});
const both = (booted: Booted, property: string): [Telling, Case] => {
  const { telling, run } = finding(booted, property);
  return [telling, run];
};

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly html: string }[];
}
const violations = async (page: Page): Promise<string[]> => {
  await page.evaluate(axe);
  const found = await page.evaluate(
    async () =>
      (await (globalThis as unknown as { axe: { run(): Promise<{ violations: unknown }> } }).axe.run()).violations,
  );
  return (found as Violation[]).flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html.slice(0, 120)}`));
};

describe('for everybody', () => {
  test.each([
    ['on a wide screen', {}],
    ['in the dark', { colorScheme: 'dark' }],
    ['on a phone', PHONE],
    ['on a phone in the dark', { ...PHONE, colorScheme: 'dark' }],
  ] as const)('%s axe finds nothing to complain of, neither on the trace nor on a branch', async (_where, options) => {
    const { page } = await opened(html, options);
    expect(await violations(page)).toEqual([]);
    await page.getByRole('button', { name: 'go on at random' }).click();
    await page.waitForSelector('.branch');
    expect(await violations(page)).toEqual([]);
    await page.close();
  });
  test('and it would: a planted fault is found', async () => {
    const { page } = await opened(html);
    await page.evaluate("document.querySelector('h1').style.color = '#eee'");
    expect(await violations(page)).toEqual([expect.stringContaining('color-contrast')]);
    await page.close();
  });

  test('the keyboard reaches everything, in the order of reading, and arrows walk the steps', async () => {
    const { page } = await opened(html);
    const order: string[] = [];
    for (let tabs = 0; tabs < 40; tabs += 1) {
      await page.keyboard.press('Tab');
      order.push(
        await page.evaluate<string>(
          "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent.trim()",
        ),
      );
    }
    const places = [
      ...['Skip to the steps', 'Steps, a column for each thread', 'One step back', 'Step', 'let everybody have turns'],
      ...['user0: go on', notifier.design.sources[0] as string],
    ].map((name) => order.indexOf(name));
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(places).not.toContain(-1);

    const grid = page.locator('.lanes');
    await grid.press('Home');
    const active = () => grid.getAttribute('aria-activedescendant');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    expect(await active()).toBe('step-2');
    await page.keyboard.press('PageDown');
    expect(await active()).toBe('step-12');
    await page.keyboard.press('End');
    expect(await active()).toBe('step-22');
    await page.keyboard.press('ArrowDown');
    expect(await active()).toBe('step-22');
    expect(await page.locator('#step-22').getAttribute('aria-selected')).toBe('true');
    await page.close();
  });

  test('a screen reader hears a grid with all its rows, and where it is', async () => {
    const { page } = await opened(html);
    const heard = await page.locator('body').ariaSnapshot();
    expect(heard).toContain('grid "Steps, a column for each thread"');
    expect(heard).toMatch(/row .*dma_resv_wait\(bo->resv, BOOKKEEP\) waits for job.*\[selected\]/);
    expect(heard).toContain('heading "The argument" [level=2]');
    expect(heard).toContain('img "1 waiting: run_job_work for run_job_work"');
    expect(heard).toMatch(/status: "?Step 22 of 22/);
    expect(await page.locator('.lanes').getAttribute('aria-rowcount')).toBe('24');
    await page.close();
  });

  test('on a phone nothing sticks out sideways, and what is touched is large enough', async () => {
    const { page } = await opened(html, PHONE);
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360);
    for (const button of await page.getByRole('button').all())
      expect((await button.boundingBox())?.height).toBeGreaterThanOrEqual(40);
    await page.close();
  });

  test('without scripts, and on paper, it is the story', async () => {
    const without = await opened(html, { javaScriptEnabled: false });
    const text = story.render(deadlock.telling, PLAIN).trimEnd();
    expect((await without.page.locator('#paper pre').innerText()).trimEnd()).toBe(text);
    await without.page.close();
    const { page } = await opened(html);
    expect(await page.locator('#paper').isVisible()).toBe(false);
    await page.emulateMedia({ media: 'print' });
    expect(await page.locator('#paper').isVisible()).toBe(true);
    expect(await page.locator('.lanes').isVisible()).toBe(false);
    expect(await page.locator('.graph').isVisible()).toBe(true);
    expect((await page.pdf({ format: 'A4' })).subarray(0, 5).toString()).toBe('%PDF-');
    await page.close();
  });
});

test('the index leaves out what is as expected when asked to, and axe finds nothing to complain of', async () => {
  const common = { design: 'a', title: 'claim', expected: 'nothing', states: 1234, depth: 5 } as const;
  const finding = { signature: 'no-deadlock (circle)', what: 'they wait', steps: 2, href: 'a.html' };
  const searched = {
    ...{ states: 1234, transitions: 2345, depth: 5, doubts: [], workload: { user0: ['submit()'] } },
    ...{ judged: 'no-deadlock', seen: ['somebody waits'], unseen: ['the allocation <fails>'] },
    time: 'patient',
  } as const;
  const rows = [
    { ...common, knobs: 'k=1', verdict: 'acquitted', asExpected: true, findings: [], searched },
    { ...common, knobs: 'k=2', verdict: 'convicted', asExpected: false, findings: [finding] },
    { ...common, design: 'b', knobs: 'k=2', verdict: 'convicted', asExpected: true, findings: [finding] },
  ] as const;
  for (const options of [{}, PHONE, { colorScheme: 'dark' } as const]) {
    const { page, wrong } = await opened(listingPage('all', rows, assets.style), options, '.verdicts');
    const visible = () => page.locator('tbody tr:visible').count();
    expect(await visible()).toBe(3);
    const behind = page.getByText('the allocation <fails>');
    expect(await behind.isVisible()).toBe(false);
    await page.getByText('none, in any of 1,234 states').click();
    expect(await behind.isVisible()).toBe(true);
    expect(await violations(page)).toEqual([]);
    expect(await page.evaluate('document.documentElement.scrollWidth - window.innerWidth')).toBeLessThanOrEqual(0);
    await page.getByLabel('only what was convicted').check();
    expect(await visible()).toBe(2);
    await page.getByLabel('only what is not as expected').check();
    expect(await visible()).toBe(1);
    expect(await page.getByRole('heading', { level: 2 }).count()).toBe(1);
    expect(wrong).toEqual([]);
    await page.close();
  }
});

describe('5,000 steps', () => {
  const LONG = 5_000;
  const KEYS = ['Home', 'PageDown', 'ArrowDown', 'End', 'PageUp', 'ArrowUp'];
  const PRESSES = 4 * KEYS.length;
  const MOST_MS = 100;
  const untilShown = `(key) => new Promise((resolve) => {
    const grid = document.querySelector('.lanes');
    const active = () => grid.getAttribute('aria-activedescendant');
    const before = active();
    const began = performance.now();
    const look = () => {
      if (active() === before) return requestAnimationFrame(look);
      grid.getBoundingClientRect();
      resolve(performance.now() - began);
    };
    grid.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
    look();
  })`;
  const busy = boot(
    design({
      name: 'busy',
      title: 'threads that take two locks again and again, for a long trace',
      sources: [],
      knobs: {},
      kernel: () => ({
        objects: { locks: { a: {}, b: {} } },
        threads: Object.fromEntries(
          ['t0', 't1', 't2', 't3'].map((name) => [
            name,
            must([
              forever([mutex_lock('a'), work_a_while('works'), mutex_lock('b'), mutex_unlock('b'), mutex_unlock('a')]),
            ]),
          ]),
        ),
      }),
      expect: [],
    }),
  );
  function longRun(): Case {
    const kernel = start(busy, {});
    const schedule: string[] = [];
    for (let turn = 0; schedule.length < LONG; turn += 1) {
      const all = choices(busy.machine, kernel);
      const text = word(all[turn % all.length] as (typeof all)[number]);
      follow(busy.machine, kernel, text);
      schedule.push(text);
    }
    return { design: 'busy', knobs: {}, workload: {}, schedule };
  }

  test('answer a key within 100 ms, for only the rows that can be seen are there', async () => {
    const run = longRun();
    const { page, wrong } = await opened(htmlOf(busy, tell(busy, run, []), run));
    expect(await page.locator('.lane-row').count()).toBeLessThan(80);
    expect(await status(page)).toContain(`Step ${LONG} of ${LONG}`);
    const grid = page.locator('.lanes');
    await grid.focus();
    const times: number[] = [];
    for (let press = 0; press < PRESSES; press += 1) {
      const key = KEYS[press % KEYS.length] as string;
      // From the key to the frame in which the step is shown, as the page itself sees it.
      times.push(await page.evaluate<number>(`(${untilShown})('${key}')`));
    }
    const median = times.toSorted((a, b) => a - b)[Math.floor(PRESSES / 2)] as number;
    expect(median).toBeLessThan(MOST_MS);
    expect(wrong).toEqual([]);
    await page.close();
  });
});
