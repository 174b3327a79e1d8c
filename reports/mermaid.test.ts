/** The sequence diagrams as whoever looks at them sees them: drawn by Mermaid in Chromium. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { showKnobs } from '../model/design.ts';
import { openChromium } from './chromium.ts';
import { participants } from './lanes.ts';
import { mermaid } from './mermaid.ts';
import { tellings } from './every-telling.ts';
import { PLAIN } from './reporter.ts';
import { type Standing, type Telling, stepsOf } from './telling.ts';

const lasso = (telling: Telling): boolean => stepsOf(telling).some(({ loop }) => loop);
const reboots = (telling: Telling): number => telling.steps.filter(({ kind }) => kind === 'reboot').length;
const length = (telling: Telling): number => stepsOf(telling).length;

/** The canaries, one counterexample of every property, circles, reboots, the longest, and the one with most lifelines. */
const chosen: readonly Telling[] = [
  ...new Set([
    ...tellings.filter(({ design }) => design.startsWith('canary-')),
    ...new Map(tellings.map((telling) => [telling.blame?.property, telling])).values(),
    ...tellings.filter(lasso).slice(0, 3),
    ...tellings.filter((telling) => reboots(telling) > 0).slice(0, 2),
    ...tellings.toSorted((a, b) => length(b) - length(a)).slice(0, 1),
    ...tellings.toSorted((a, b) => participants(b).length - participants(a).length).slice(0, 1),
  ]),
];

/** What a reader of the diagram sees. */
interface Drawn {
  /** Lifelines, from the left: the names over them, and how many lines there are. */
  readonly names: readonly string[];
  readonly lifelines: number;
  /** Texts of the notes from the top, a line each. */
  readonly notes: readonly (readonly string[])[];
  readonly labels: readonly string[];
  readonly dashed: number;
  /** What a screen reader says that it is. */
  readonly title: string;
  readonly frames: readonly string[];
  /** Texts that do not fit: in the picture, in their note. */
  readonly clipped: readonly string[];
}
let browser: Browser;
let page: Page;
beforeAll(async () => {
  const script = join(dirname(createRequire(import.meta.url).resolve('mermaid/package.json')), 'dist/mermaid.min.js');
  browser = await openChromium();
  page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
  await page.setContent('<!doctype html><body></body>');
  await page.addScriptTag({ content: readFileSync(script, 'utf8') });
  await page.evaluate('mermaid.initialize({ startOnLoad: false })');
}, 120_000);
afterAll(() => browser?.close());

/** In the page: draw the text, and say what is there. */
const DRAW = `async (text) => {
  const { svg } = await mermaid.render('diagram', text);
  document.body.innerHTML = svg;
  const root = document.querySelector('svg');
  root.style.maxWidth = 'none';
  const all = (css) => [...root.querySelectorAll(css)];
  const texts = (css) => all(css).map((each) => each.textContent);
  const picture = root.getBoundingClientRect();
  const slack = 1;
  const inside = (inner, outer) =>
    inner.left >= outer.left - slack && inner.right <= outer.right + slack &&
    inner.top >= outer.top - slack && inner.bottom <= outer.bottom + slack;
  const boxes = all('rect.note');
  const notes = boxes.map((box) => [...box.parentNode.querySelectorAll('.noteText')]);
  return {
    names: all('rect.actor-top').sort((a, b) => a.x.baseVal.value - b.x.baseVal.value).map((box) => box.parentNode.textContent),
    lifelines: all('line.actor-line').length,
    notes: notes.map((lines) => lines.map((line) => line.textContent)),
    labels: texts('.messageText'),
    dashed: all('.messageLine1').filter((line) => getComputedStyle(line).strokeDasharray !== 'none').length,
    title: root.querySelector('title').textContent,
    frames: texts('.labelText'),
    clipped: [
      ...all('text').filter((each) => !inside(each.getBoundingClientRect(), picture)),
      ...notes.flatMap((lines, at) =>
        lines.filter((line) => !inside(line.getBoundingClientRect(), boxes[at].getBoundingClientRect()))),
    ].map((each) => each.textContent),
  };
}`;
const draw = (text: string): Promise<Drawn> => page.evaluate<Drawn>(`(${DRAW})(${JSON.stringify(text)})`);
/** A text may be broken into lines anywhere. */
const squeezed = (text: string): string => text.replace(/\s+/g, '');

/** Who is newly blocked, among those who take part; with how many debtors among them. */
function debts(telling: Telling): number[] {
  const known = participants(telling);
  const blocked: Standing[] = [
    ...telling.blockedAtBoot,
    ...stepsOf(telling).flatMap((step) => step.blocked.filter(({ newly }) => newly)),
  ];
  return blocked
    .filter(({ thread, wait }) => wait && known.includes(thread))
    .map(({ wait }) => wait?.owedBy.filter((debtor) => known.includes(debtor)).length ?? 0);
}

/** All that a diagram must show of its telling. */
async function isDrawn(telling: Telling): Promise<void> {
  const drawn = await draw(mermaid.render(telling, PLAIN));
  const { design, blame } = telling;
  const threads = participants(telling);
  expect(
    drawn.names.map((name) => name.split(' (')[0]),
    design,
  ).toEqual(threads);
  expect(drawn.lifelines, design).toBe(threads.length);
  const owed = debts(telling);
  const arrows = owed.reduce((sum, each) => sum + each, 0);
  expect([drawn.dashed, drawn.labels.filter((label) => label.startsWith('waits for')).length], design).toEqual([
    arrows,
    arrows,
  ]);
  expect(drawn.frames, design).toEqual(lasso(telling) ? ['loop'] : []);
  const notes = drawn.notes.map((lines) => squeezed(lines.join(' ')));
  expect(notes.length, design).toBe(
    length(telling) + owed.filter((each) => each === 0).length + reboots(telling) + 2, // and what it is, and what it breaks
  );
  const steps = drawn.notes.filter(([first = '']) => /^\d+[.] /.test(first));
  expect(
    steps.map((lines) => Number.parseInt(lines[0] ?? '', 10)),
    design,
  ).toEqual(stepsOf(telling).map(({ number }) => number));
  stepsOf(telling).forEach(({ lines }, at) => {
    for (const { text, outcome, enters } of lines)
      for (const part of [text, outcome, ...enters])
        expect(squeezed((steps[at] ?? []).join(' ')), design).toContain(squeezed(part));
  });
  const heading = `${design} ${showKnobs(telling.knobs)}: ${length(telling)} step`;
  expect(notes[0], design).toContain(squeezed(heading));
  expect(squeezed(drawn.title), design).toContain(squeezed(heading));
  expect(notes.at(-1), design).toBe(squeezed(`breaks ${blame?.property}: ${blame?.what}`));
  expect(drawn.clipped, design).toEqual([]);
}

describe('drawn by Mermaid', () => {
  test('what is drawn here is of every kind: each property, circles, reboots, long ones', () => {
    expect(chosen.length).toBeGreaterThan(12);
    expect(new Set(chosen.map(({ blame }) => blame?.property)).size).toBeGreaterThan(8);
    expect(chosen.some(lasso) && chosen.some((telling) => reboots(telling) > 0)).toBe(true);
    expect(Math.max(...chosen.map(length))).toBeGreaterThan(40);
  });
  test.each(chosen.map((telling) => [`${telling.design} ${telling.blame?.property}`, telling] as const))(
    '%s: lifelines, a note a step, an arrow a debt, and nothing is cut off',
    (_, telling) => isDrawn(telling),
  );
  test('every counterexample of the corpus', { tags: ['long'] }, async () => {
    for (const telling of tellings) await isDrawn(telling);
  });

  const hostile = 'a #35; b; <b>&lt;bold&gt;</b> %% {x} "q" $$x^2$$ -->> end';
  test('signs that mean something to Mermaid or HTML stand there as they are', async () => {
    const [telling] = chosen as [Telling];
    const blame = { ...telling.blame, what: hostile } as NonNullable<Telling['blame']>;
    const drawn = await draw(mermaid.render({ ...telling, blame }, PLAIN));
    expect(squeezed(drawn.notes.at(-1)?.join(' ') ?? '')).toBe(squeezed(`breaks ${blame.property}: ${hostile}`));
  });
  test('calls stand further in than whoever calls', async () => {
    const calling = chosen.find((each) => stepsOf(each).some(({ lines }) => lines.some(({ enters }) => enters.length)));
    const drawn = await draw(mermaid.render(calling as Telling, PLAIN));
    expect(drawn.notes.some((lines) => lines.some((line) => /^\u00A0{3,}\S+\(\):$/.test(line)))).toBe(true);
  });
  test('the drawing is no formality: an arrow left out is missed, a text that is too long is cut, a slip is an error', async () => {
    const [telling] = chosen as [Telling];
    const text = mermaid.render(telling, PLAIN);
    const lines = text.split('\n');
    const without = lines.filter((line) => !line.includes('--)')).join('\n');
    expect((await draw(without)).dashed).toBe(0);
    expect((await draw(text)).dashed).toBeGreaterThan(0);
    expect((await draw(text.replaceAll('<br/>', ' '))).clipped.length).toBeGreaterThan(0);
    await expect(draw(text.replace('--)', '--?'))).rejects.toThrow('Parse error');
  });
});
