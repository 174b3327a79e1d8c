import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startProgram } from '../compiled.ts';
import { recordsIn } from './whole-journal.ts';

/** Debian's redis-server, or Valkey's; .ci/run installs the first where neither is. */
const SERVER = ['redis-server', 'valkey-server'].find((name) => spawnSync(name, ['--version']).status === 0);

let room = '';
let url = '';
let server: ChildProcess;
const children: ChildProcess[] = [];

async function freePort(): Promise<number> {
  const socket = createServer().listen(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address() as AddressInfo;
  socket.close();
  return port;
}
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
interface Ended {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}
interface Running {
  readonly child: ChildProcess;
  readonly end: Promise<Ended>;
  readonly said: () => string;
}
function run(...args: string[]): Running {
  const child = startProgram(args, { cwd: room });
  children.push(child);
  let out = '';
  let err = '';
  child.stdout?.on('data', (data: Buffer) => (out += data.toString()));
  child.stderr?.on('data', (data: Buffer) => (err += data.toString()));
  const end = new Promise<Ended>((resolve) => child.on('close', (status) => resolve({ status, out, err })));
  return { child, end, said: () => out };
}
const journalOf = (name: string): string => join(room, name, 'journal.jsonl');
const report = ({ out }: Ended): string => out.split('\n').find((line) => line.includes('"event":"report"')) ?? 'none';

describe.skipIf(SERVER === undefined)('a campaign over a queue', () => {
  beforeAll(async () => {
    room = mkdtempSync(join(tmpdir(), 'fenceproof-'));
    const port = await freePort();
    url = `redis://127.0.0.1:${port}`;
    const quiet = ['--save', '', '--appendonly', 'no', '--dir', room];
    server = spawn(SERVER as string, ['--port', String(port), '--bind', '127.0.0.1', ...quiet], { stdio: 'ignore' });
    for (let waited = 0; waited < 100; waited += 1) {
      await pause(100);
      const answer = spawnSync('redis-cli', ['-p', String(port), 'ping'], { encoding: 'utf8' }).stdout;
      if (answer === null || answer.startsWith('PONG')) break;
    }
  }, 300_000);
  afterAll(() => {
    for (const child of children) child.kill('SIGKILL');
    server.kill('SIGKILL');
    rmSync(room, { recursive: true, force: true });
  });
  const campaign = ['campaign', '-d', 'canary-signal-forgotten', '--batch', '100', '--lanes', '8', '--json'];
  const work = (): Running => run('work', '--queue', url, '--workers', '1', '--lost-after', '5s');

  test('with two workers, one of them killed in the middle, is the one that was played alone', {
    tags: ['long'],
  }, async () => {
    const alone = await run(...campaign, '--until', '12000runs', '--out', 'alone', '--workers', '1').end;
    const first = work();
    const second = work();
    const handing = run(...campaign, '--until', '12000runs', '--out', 'handed', '--queue', url);
    const batches = (): number =>
      existsSync(journalOf('handed'))
        ? recordsIn(journalOf('handed')).records.filter(({ kind }) => kind === 'batch').length
        : 0;
    for (let waited = 0; waited < 120_000 && batches() < 20; waited += 50) await pause(50);
    first.child.kill('SIGKILL');
    expect(batches()).toBeLessThan(120);
    const handed = await handing.end;

    expect(report(handed)).toBe(report(alone));
    expect(report(handed)).toContain('"batches":120');
    expect((await first.end).status).toBe(null);
    // Counted once: no record stands there twice, and none says that the harness failed.
    const names = recordsIn(journalOf('handed')).records.map(
      (record) =>
        `${record.kind} ${'chain' in record ? `${record.chain} ${record.round}` : JSON.stringify(record).length}`,
    );
    expect(new Set(names).size).toBe(names.length);
    expect(names.filter((name) => name.startsWith('broken'))).toEqual([]);

    second.child.kill('SIGINT');
    const { status, out } = await second.end;
    expect(status).toBe(130);
    expect(out).toMatch(/\d+ pieces of work done/);
    const whole = async (name: string): Promise<string> => {
      await run('merge', name, '--out', `${name}-whole`).end;
      return readFileSync(journalOf(`${name}-whole`), 'utf8');
    };
    expect(await whole('handed')).toBe(await whole('alone'));
  });

  test('without a server there is refused in one line', async () => {
    const { status, err } = await run('work', '--queue', `redis://127.0.0.1:${await freePort()}`, '--workers', '0').end;
    expect(err).toMatch(/^fenceproof: --queue: cannot reach redis:\/\/127\.0\.0\.1:\d+: [^\n]+\n$/);
    expect(status).toBe(2);
  }, 300_000);
});
