/**
 * `fenceproof work`: a worker for campaigns that hand out their batches over a queue. Start as many as there are machines;
 * they may join and leave at any time.
 */
import { type Command, Option } from 'commander';
import { portfolio } from '../../properties/search/strategies/index.ts';
import { grouped } from '../../reports/row.ts';
import { inPool, playCanary } from '../campaign/player.ts';
import { WORTHLESS } from '../campaign/summary.ts';
import { hearInterrupts } from '../interrupt.ts';
import { duration, patienceOption, queueOption, workersOption } from '../options.ts';
import { defaultWorkers, openPool } from '../pool.ts';
import { Progress, took } from '../progress.ts';
import { INTERRUPTED } from '../refusal.ts';
import { countOf } from '../tasks/task.ts';
import type { Terminal } from '../terminal.ts';

const LOST_AFTER = 30_000;

interface Options {
  readonly queue: string;
  readonly workers: number;
  readonly patience: number;
  readonly lostAfter: number;
}

export function addWork(program: Command, terminal: Terminal, finish: (status: number) => void): void {
  program
    .command('work')
    .summary('do work for campaigns that hand it out over a queue')
    .description(
      'Do work for campaigns that hand it out over a queue, until Ctrl-C; what is under way is finished first.',
    )
    .addOption(queueOption('the queue that campaigns use').makeOptionMandatory())
    .addOption(patienceOption())
    .addOption(
      new Option('--lost-after <duration>', 'a worker that is silent for so long has lost its job')
        .argParser(duration)
        .default(LOST_AFTER, '30s'),
    )
    .addOption(workersOption(defaultWorkers))
    .action(async (options: Options) => finish(await working(options, terminal)));
}

async function working({ queue, workers, patience, lostAfter }: Options, terminal: Terminal): Promise<number> {
  const { takePart } = await import('../campaign/queue.ts');
  const pool = openPool(workers);
  const perform = inPool(pool, patience);
  const started = Date.now();
  let done = 0;
  try {
    const canary = await playCanary({ seed: 1, strategies: portfolio.map(({ name }) => name) }, perform);
    if (canary.run === 0) {
      terminal.warn('the planted bug was missed: what this worker finds would be worthless, and it takes no part');
      return WORTHLESS;
    }
    const helper = await takePart(queue, {
      width: Math.max(1, workers),
      lostAfter,
      perform,
      done: () => (done += 1),
      warn: (line) => terminal.warn(line),
    });
    terminal.say(`takes part with ${Math.max(1, workers)} threads; Ctrl-C leaves after the work under way`);
    const progress = new Progress(
      terminal,
      () =>
        `work: ${took(Date.now() - started)}, ${grouped(done)} pieces done, ${grouped(countOf(pool.counters, 'runs'))} runs`,
      500,
    );
    await new Promise<void>((resolve) => {
      const interrupts = hearInterrupts(() => {
        terminal.warn('leaving after the work under way');
        interrupts.forget();
        resolve();
      });
    });
    await helper.close();
    progress.end();
  } finally {
    await pool.close();
  }
  terminal.say(`${grouped(done)} pieces of work done in ${took(Date.now() - started)}`);
  return INTERRUPTED;
}
