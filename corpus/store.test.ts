import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Entry, writeEntry } from './entry.ts';
import { MAX_BYTES, ensureWritable, fileNameOf, loadDirectory, loadEntry, saveEntry } from './store.ts';

let room = '';
beforeEach(() => {
  room = mkdtempSync(join(tmpdir(), 'fenceproof-'));
});
afterEach(() => rmSync(room, { recursive: true }));

const entry: Entry = {
  format: 1,
  title: 't',
  design: 'a-design',
  knobs: { memory: 'GFP_KERNEL', path: 'a/b' },
  workload: {},
  schedule: ['one'],
  expect: { verdict: 'convicted', property: 'no-deadlock', kind: 'circle of mutex' },
  found: { by: 'sweep', shortest: 'proved' },
  sources: [],
  programs: {},
};
const read = (path: string): string => readFileSync(path, 'utf8');

test('a file is named for what it shows', () => {
  expect(fileNameOf(entry)).toBe('a-design.GFP_KERNEL-a-b.no-deadlock.circle-of-mutex');
  const acquitted: Entry['expect'] = {
    verdict: 'acquitted',
    states: 1,
    transitions: 1,
    depth: 1,
    witnesses: [],
    time: 'patient',
  };
  expect(fileNameOf({ ...entry, expect: acquitted })).toBe('a-design.GFP_KERNEL-a-b.acquitted');
  expect(fileNameOf({ ...entry, design: 'x'.repeat(200) }).length).toBeLessThan(200);
  expect(fileNameOf({ ...entry, design: '../../etc/passwd' })).not.toContain('/');
});

test('the same finding lands in the same file, another one of the same name beside it', () => {
  const first = saveEntry(room, entry);
  expect(saveEntry(room, { ...entry, schedule: [] })).toBe(first);
  expect(readdirSync(room)).toEqual(['a-design.GFP_KERNEL-a-b.no-deadlock.circle-of-mutex.json']);
  const second = saveEntry(room, { ...entry, knobs: { memory: 'GFP_KERNEL', path: 'a:b' } });
  expect(second).not.toBe(first);
  expect(saveEntry(room, { ...entry, knobs: { memory: 'GFP_KERNEL', path: 'a:b' } })).toBe(second);
  expect(loadDirectory(room)).toHaveLength(2);
});

test('a damaged file in the way is not written over', () => {
  const path = join(room, `${fileNameOf(entry)}.json`);
  writeFileSync(path, '{"format": 1, "mine": ');
  const saved = saveEntry(room, entry);
  expect(read(path)).toBe('{"format": 1, "mine": ');
  expect(loadEntry(saved)).toHaveProperty('entry', entry);
});

test('a file is the old one or the new one, and a failed write leaves nothing behind', () => {
  const path = saveEntry(room, entry);
  // A directory stands where the draft is to be written: the write fails before the old file is touched.
  mkdirSync(`${path}.${process.pid}.tmp`);
  expect(() => saveEntry(room, { ...entry, title: 'new' })).toThrow(/^cannot write to /);
  expect(read(path)).toBe(writeEntry(entry));
  rmSync(`${path}.${process.pid}.tmp`, { recursive: true, force: true });
  saveEntry(room, { ...entry, title: 'new' });
  expect(read(path)).toBe(writeEntry({ ...entry, title: 'new' }));
  expect(readdirSync(room)).toHaveLength(1);
});

test('what cannot be a directory is refused in one line, what can is made', () => {
  const file = join(room, 'file');
  writeFileSync(file, '');
  expect(() => ensureWritable(join(file, 'below'))).toThrow(
    /^cannot write to .*: part of the path is not a directory$/,
  );
  expect(() => ensureWritable('/proc/fenceproof')).toThrow(/^cannot write to \/proc\/fenceproof: /);
  ensureWritable(join(room, 'a', 'b'));
  expect(readdirSync(join(room, 'a', 'b'))).toEqual([]);
});

test('a file too large is not read, a link to nowhere and a directory are no files', () => {
  const path = join(room, 'x.json');
  writeFileSync(path, 'a'.repeat(MAX_BYTES + 1));
  expect(loadEntry(path)).toEqual({ path, wrong: `has ${MAX_BYTES + 1} bytes; an entry has at most ${MAX_BYTES}` });
  symlinkSync('nowhere', join(room, 'link.json'));
  expect(loadEntry(join(room, 'link.json'))).toHaveProperty('wrong', 'there is no such file or directory');
  expect(loadEntry(room)).toHaveProperty('wrong', 'is not a file');
  expect(loadDirectory(room)).toHaveLength(2);
  expect(loadDirectory(join(room, 'none'))).toEqual([]);
});
