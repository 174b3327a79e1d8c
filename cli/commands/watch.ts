/**
 * `fenceproof watch`: check a file again whenever it, or a file beside it, changes.
 *
 * Each check is a process of its own: a module that was loaded stays loaded, and a check that is overtaken by the next
 * change can be ended without a trace. Ctrl-C is how it ends, so that is no failure.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import { dirname, extname } from 'node:path';
import { watch } from 'chokidar';
import type { Command } from 'commander';
import { asTyped } from '../files.ts';
import { oneLine, refusal } from '../refusal.ts';
import type { Terminal } from '../terminal.ts';

/** Editors write a file in several steps; this long after the last it is whole. */
const SETTLED_MS = 100;
const SOURCES: ReadonlySet<string> = new Set(['.ts', '.mts', '.cts', '.js', '.mjs', '.cjs', '.json']);

export function addWatch(program: Command, terminal: Terminal, finish: (status: number) => void): void {
  program
    .command('watch')
    .summary('check a file again whenever it changes')
    .description(
      'Check a design of your own again whenever its file, or a source beside it, changes. What follows -- goes to check.',
    )
    .argument('<file>', 'a file of your own, like ./my-driver.ts')
    .argument('[options...]', 'options of check, after --: -- -k waits=yes')
    .action(async (file: string, options: readonly string[]) => finish(await watching(file, options, terminal)));
}

async function watching(file: string, options: readonly string[], terminal: Terminal): Promise<number> {
  if (!statSync(file, { throwIfNoEntry: false })?.isFile()) throw refusal(`${oneLine(file)}: is not a file`);
  const { paint } = terminal.look;
  let child: ChildProcess | undefined;
  let timer: NodeJS.Timeout | undefined;
  const check = (): void => {
    child?.kill('SIGKILL');
    const [node, program] = process.argv as [string, string];
    const started = spawn(node, [...process.execArgv, program, 'check', file, ...options], { stdio: 'inherit' });
    child = started;
    started.on('exit', (status, signal) => {
      if (signal !== null) return;
      const says = status === 0 ? paint('good', 'as it should be') : paint('bad', `status ${status}`);
      terminal.say(`${says}${paint('dim', `; watching ${asTyped(file)}, Ctrl-C ends`)}\n`);
    });
  };
  const watcher = watch(dirname(file), {
    depth: 0,
    ignoreInitial: true,
    ignored: (path, stats) => stats?.isFile() === true && !SOURCES.has(extname(path)),
  });
  watcher.on('all', (_what, path) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      terminal.say(paint('dim', `${asTyped(path)} changed`));
      check();
    }, SETTLED_MS);
  });
  check();
  await new Promise<void>((end) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, end);
  });
  clearTimeout(timer);
  child?.kill();
  await watcher.close();
  return 0;
}
