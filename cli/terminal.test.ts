import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import stringWidth from 'string-width';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PLAIN } from '../reports/reporter.ts';
import { main } from './main.ts';
import { startingDesign } from './starting-design.ts';
import { asciiOnly, fitted, inAscii } from './terminal.ts';

let room = '';
beforeEach(() => {
  room = mkdtempSync(join(tmpdir(), 'fenceproof-'));
});
afterEach(() => rmSync(room, { recursive: true }));

async function run(...args: string[]) {
  const said: string[] = [];
  const warned: string[] = [];
  const look = { say: (text: string) => said.push(text), warn: (text: string) => warned.push(text), look: PLAIN };
  const status = await main(args, { ...look, progress: () => undefined });
  return { status, said: said.join('\n'), warned: warned.join('\n') };
}
const lines = (text: string): Record<string, unknown>[] =>
  text.split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);

describe('on a terminal', () => {
  const text = fc.string({
    unit: fc.constantFrom('a', ' ', '-', '→', '\u001b[31mred\u001b[39m', 'word', '\n'),
    maxLength: 80,
  });
  test('no line is wider than it, and no word is lost', () => {
    fc.assert(
      fc.property(text, fc.integer({ min: 12, max: 60 }), (said, width) => {
        const shown = fitted(said, width);
        for (const line of shown.split('\n')) expect(stringWidth(line)).toBeLessThanOrEqual(width);
        const letters = (of: string): string =>
          of.replace(/\s/g, '').replaceAll('\u001b[31m', '').replaceAll('\u001b[39m', '');
        expect(letters(shown)).toBe(letters(said));
      }),
      { numRuns: 500 },
    );
  });
  test('what fits is left alone, the rest of a line stands further in, and a command to paste stays in one piece', () => {
    expect(fitted('  it fits', 20)).toBe('  it fits');
    expect(fitted('  this line does not fit', 16)).toBe('  this\n      line does\n      not fit');
    const command = `       npx fenceproof replay ${'x'.repeat(80)}`;
    expect(fitted(command, 40)).toBe(command);
  });
  test('signs have a likeness in ASCII, column for column', () => {
    expect(inAscii('✓ a → b … │ ─')).toBe('+ a > b . | -');
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (said) => {
        expect(inAscii(said)).toMatch(/^[\0-\u007F]*$/);
      }),
    );
  });
  test('ASCII is for those who say so: another character set, or a terminal that can do nothing', () => {
    expect(
      [{}, { LANG: 'en_GB.UTF-8' }, { LC_ALL: 'C.utf8' }, { LANG: 'C', LC_ALL: 'C.UTF-8' }].map(asciiOnly),
    ).toEqual([false, false, false, false]);
    expect(
      [{ LANG: 'C' }, { LC_ALL: 'POSIX', LANG: 'C.UTF-8' }, { LC_CTYPE: 'de_DE.ISO-8859-1' }, { TERM: 'dumb' }].map(
        asciiOnly,
      ),
    ).toEqual([true, true, true, true]);
  });
});

describe('--quiet says only what is not as it should be', () => {
  test('check', async () => {
    expect(await run('check', 'canary-abba', '-q', '--workers', '0')).toEqual({ status: 0, said: '', warned: '' });
    const { status, said } = await run('check', 'canary-abba', '-q', '--max-states', '3', '--workers', '0');
    expect(status).toBe(1);
    expect(said).toContain('NOT as expected');
  });
  test('fuzz', async () => {
    const fuzz = ['fuzz', '-d', 'canary-abba', '-q', '-r', '100', '-o', room, '--workers', '0'];
    expect(await run(...fuzz)).toEqual({ status: 0, said: '', warned: '' });
    const own = join(room, 'my-driver.ts');
    writeFileSync(own, startingDesign('my-driver'));
    const { status, said } = await run('fuzz', '-d', own, '-q', '-r', '50', '-o', join(room, 'out'), '--workers', '0');
    expect(status).toBe(1);
    expect(said).toMatch(/^new .*my-driver ioctl_waits=under_the_lock: no-deadlock/m);
    expect(said).not.toMatch(/^setting +found/m);
  });
  test('replay', async () => {
    await run('check', 'canary-abba', '--save', '--out', room, '--workers', '0');
    expect(await run('replay', '-q', room, '--workers', '0')).toEqual({ status: 0, said: '', warned: '' });
    const [first = ''] = readdirSync(room);
    const path = join(room, first);
    writeFileSync(path, readFileSync(path, 'utf8').replace('"lock-order"', '"no-leak"'));
    const { status, said } = await run('replay', '-q', room, '--workers', '0');
    expect([status, said.split('\n').length]).toEqual([1, 2]);
    expect(said).toContain(first);
  });
});

describe('--json is one object a line', () => {
  test('check', async () => {
    const { said } = await run('check', 'canary-abba', '--json', '--workers', '0');
    expect(
      lines(said)
        .map(({ event }) => event)
        .filter((event) => event !== 'progress'),
    ).toEqual(['setting', 'setting', 'done']);
  });
  test('fuzz', async () => {
    const { status, said } = await run(
      'fuzz',
      '-d',
      'canary-abba',
      '--json',
      '-r',
      '100',
      '-o',
      room,
      '--workers',
      '0',
    );
    expect(status).toBe(0);
    expect(lines(said)).toEqual([
      expect.objectContaining({ event: 'finding', news: 'known', design: 'canary-abba' }),
      expect.objectContaining({ event: 'finding', news: 'known', design: 'canary-abba' }),
      expect.objectContaining({ event: 'done', settings: 2, new: 0, known: 2, missed: 0 }),
    ]);
  });
  test('replay', async () => {
    await run('check', 'canary-abba', '--save', '--out', room, '--workers', '0');
    const { said } = await run('replay', '--json', room, '--workers', '0');
    expect(lines(said).map(({ event, status }) => status ?? event)).toEqual([
      'reproduces',
      'reproduces',
      'reproduces',
      'done',
    ]);
    expect((await run('replay', '--json', '--step', room)).status).toBe(2);
  });
});
