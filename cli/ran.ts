/** Running the program in a test: in this process, with what it says; or as a process of its own, until it ends. */
import type { ChildProcess } from 'node:child_process';
import { PLAIN } from '../reports/reporter.ts';
import { main } from './main.ts';

export interface Ran {
  readonly status: number;
  readonly said: string;
  readonly warned: string;
}
/** Run a command line in this process; what it says on standard output and standard error. */
export async function run(...args: string[]): Promise<Ran> {
  const said: string[] = [];
  const warned: string[] = [];
  const status = await main(args, {
    say: (text) => said.push(text),
    warn: (text) => warned.push(text),
    progress: () => undefined,
    look: PLAIN,
  });
  return { status, said: said.join('\n'), warned: warned.join('\n') };
}

export interface Ended {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}
export function ended(child: ChildProcess): Promise<Ended> {
  let out = '';
  let err = '';
  child.stdout?.on('data', (data: Buffer) => (out += data.toString()));
  child.stderr?.on('data', (data: Buffer) => (err += data.toString()));
  return new Promise((resolve) => child.on('close', (status) => resolve({ status, out, err })));
}
