import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import stringWidth from 'string-width';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { designs } from '../model/designs/index.ts';
import { asTyped, packageRoot } from './files.ts';
import { run } from './ran.ts';
import { startingDesign } from './starting-design.ts';
import { asciiOnly, fitted, inAscii } from './terminal.ts';

let room = '';
beforeEach(() => {
  room = mkdtempSync(join(tmpdir(), 'fenceproof-'));
});
afterEach(() => rmSync(room, { recursive: true }));

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
  test('shrink', async () => {
    await run('check', 'canary-abba', '--save', '--out', room, '--workers', '0');
    const path = join(room, 'canary-abba.opposite.no-deadlock.circle-of-mutex.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace('"one",', '"one", "one", "one", "one", "reboot", "one",'));
    const { status, said } = await run('shrink', '-q', path, '--workers', '0');
    const [first, ...others] = said.split('\n');
    expect([status, first]).toEqual([
      0,
      `shrunk  ${asTyped(path)}: no-deadlock (circle of mutex): 7 words became 2; shortest, proved`,
    ]);
    expect(others.filter((line) => !line.startsWith('also met '))).toEqual([]);
    expect((await run('shrink', '-q', path, '--steps', '2', '--workers', '0')).said).toContain('not minimal');
  });
  test('list', async () => {
    const { said } = await run('list', 'designs', '-q');
    expect(said.split('\n')).toEqual(designs.map(({ name }) => name));
    expect((await run('list', 'canary-abba', '-q')).said).toBe('order=same\norder=opposite');
  });
  test('campaign and merge', async () => {
    const campaign = ['campaign', '-q', '-u', '500runs', '--workers', '0', '-d', 'canary-signal-forgotten'];
    expect(await run(...campaign, '-o', join(room, 'a'))).toEqual({ status: 0, said: '', warned: '' });
    const merge = ['merge', '-q', join(room, 'a'), '-o'];
    expect(await run(...merge, join(room, 'b'))).toEqual({ status: 0, said: '', warned: '' });
    const own = join(room, 'my-driver.ts');
    writeFileSync(own, startingDesign('my-driver'));
    const mine = ['campaign', '-q', '-u', '2000runs', '--workers', '0', '-d', own, '-o', join(room, 'c')];
    const { status, said } = await run(...mine);
    expect([status, said.includes('2,000 runs')]).toEqual([1, true]);
    expect(said).toMatch(/^new .*my-driver/m);
    expect((await run('merge', '-q', join(room, 'c'), '-o', join(room, 'd'))).said).toContain('my-driver');
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
  test('shrink', async () => {
    await run('check', 'canary-abba', '--save', '--out', room, '--workers', '0');
    const path = join(room, 'canary-abba.opposite.no-deadlock.circle-of-mutex.json');
    const [first, ...others] = lines((await run('shrink', '--json', path, '--workers', '0')).said);
    expect(first).toMatchObject({
      ...{ event: 'shrunk', path: asTyped(path), design: 'canary-abba', property: 'no-deadlock', words: 2, before: 2 },
      ...{ schedule: ['one', 'two'], shortest: 'proved', complete: true },
    });
    expect(others.filter(({ event }) => event !== 'met')).toEqual([]);
  });
  test('list', async () => {
    const all = lines((await run('list', '--json')).said);
    expect([...new Set(all.map(({ event }) => event))]).toEqual(['design', 'property', 'strategy', 'format']);
    expect(all.filter(({ event }) => event === 'design').map(({ name }) => name)).toEqual(
      designs.map((each) => each.name),
    );
    expect(all.find(({ name }) => name === 'canary-abba')).toMatchObject({ knobs: { order: ['same', 'opposite'] } });
    expect(all.find(({ name }) => name === 'junit')).toMatchObject({ of: ['report', 'check', 'fuzz'] });
    expect(lines((await run('list', 'canary-abba', '--json')).said)).toEqual([
      expect.objectContaining({ event: 'setting', knobs: { order: 'same' }, acquits: true, convicts: [] }),
      expect.objectContaining({
        event: 'setting',
        knobs: { order: 'opposite' },
        convicts: ['no-deadlock', 'lock-order'],
      }),
    ]);
  });
  test('campaign and merge', async () => {
    const campaign = ['campaign', '--json', '-u', '500runs', '--workers', '0', '-d', 'canary-signal-forgotten'];
    const events = lines((await run(...campaign, '-o', join(room, 'a'))).said);
    expect(events.map(({ event }) => event)).toEqual(expect.arrayContaining(['begin', 'report', 'over']));
    const [merged, ...more] = lines((await run('merge', '--json', join(room, 'a'), '-o', join(room, 'b'))).said);
    expect(more).toEqual([]);
    expect(merged).toEqual(events.find(({ event }) => event === 'report'));
  });
});

describe('the table of the README', () => {
  const readme = readFileSync(join(packageRoot, 'README.md'), 'utf8');
  const [, table = ''] = /\| command \| with `--quiet` \| with `--json` \|\n[|-]+\n((?:\|.*\n)+)/.exec(readme) ?? [];
  const rows = [...table.matchAll(/^\| `(\S+)` \|/gm)].map(([, name]) => name as string);
  const COMMANDS = (program: string): string[] =>
    [...program.matchAll(/^ {2}([a-z]+) (?=.*  )/gm)].map(([, name]) => name as string);

  test('has the commands that take --quiet and --json, and no other command takes either', async () => {
    const commands = COMMANDS((await run('--help')).said).filter((name) => name !== 'help' && name !== 'complete');
    expect(commands).toEqual(expect.arrayContaining([...rows, 'report', 'explain', 'init', 'work', 'watch']));
    for (const command of commands) {
      const { said } = await run(command, '--help');
      const flags = [/^ +-q, --quiet /m, /^ +--json /m].map((flag) => flag.test(said));
      expect([command, ...flags]).toEqual([command, rows.includes(command), rows.includes(command)]);
    }
  });
  test('where there is no such flag, it is refused with what there is', async () => {
    for (const [command, flag] of [
      ['report', '--json'],
      ['explain', '--quiet'],
      ['init', '-q'],
    ] as const) {
      const { status, said, warned } = await run(command, 'x', flag);
      expect([status, said]).toEqual([2, '']);
      expect(warned).toContain(`unknown option '${flag}'; there are: `);
    }
  });
});
