/**
 * The workers: tasks go to threads, so that this thread stays awake for the progress line and for Ctrl-C.
 *
 * The answer of a task does not depend on how many workers there are, nor on which of them does it. With no workers
 * everything runs here, which is what a debugger wants.
 */
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { extname } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Piscina } from 'piscina';
import { type Results, type Task, work } from './tasks/index.ts';
import { type Counters, add, countOf, newCounters } from './tasks/task.ts';

export interface Pool {
  readonly counters: Counters;
  readonly size: number;
  /** Do one task; an abort takes the worker that does it with it, and another takes its place. */
  run<K extends Task['kind']>(task: Extract<Task, { kind: K }>, abort?: AbortSignal): Promise<Results[K]>;
  /** Do this for every item, as many at a time as there are workers; stops handing out when asked to. */
  each<T>(items: Iterable<T>, go: (item: T) => Promise<void>): Promise<void>;
  /** Ask the fuzz to come to an end with what it has, cut everything else short, and begin nothing more. */
  stop(): void;
  readonly stopped: boolean;
  close(): Promise<void>;
}

export const defaultWorkers: number = availableParallelism();

export function openPool(workers: number): Pool {
  const counters = newCounters();
  const ending = new AbortController();
  let piscina: Piscina | undefined;
  const threads = (): Piscina => (piscina ??= startThreads(workers));
  return {
    counters,
    size: workers,
    async run<K extends Task['kind']>(task: Extract<Task, { kind: K }>, abort?: AbortSignal): Promise<Results[K]> {
      const signal = abort ?? ending.signal;
      const cut = endsByItself(task) && !abort ? {} : { signal };
      const answer: unknown = workers === 0 || mustStay(task) ? await inTurn(task) : await threads().run(task, cut);
      return answer as Results[K];
    },
    async each(items, go) {
      const iterator = items[Symbol.iterator]();
      const lane = async (): Promise<void> => {
        for (let next = iterator.next(); !next.done && countOf(counters, 'stop') === 0; next = iterator.next())
          await go(next.value);
      };
      await Promise.all(Array.from({ length: Math.max(1, workers) }, lane));
    },
    stop() {
      add(counters, 'stop', 1);
      ending.abort();
    },
    get stopped() {
      return countOf(counters, 'stop') > 0;
    },
    close: async () => piscina?.destroy(),
  };
}

/** Asked to stop, these come to an end with what they have; everything else is cut short. */
const endsByItself = (task: Task): boolean =>
  task.kind === 'fuzz' || task.kind === 'batch' || (task.kind === 'sweep' && task.checkpoint !== undefined);

const FROM_SOURCES = extname(import.meta.url) === '.ts';
/** tsx does not nest: a worker that runs our own sources under it cannot load a user's file with it. */
const mustStay = (task: Task): boolean =>
  FROM_SOURCES && (task.kind === 'status' ? task.from : task.setting.from) !== undefined;

/** In this thread, with a pause before it in which signals are heard. */
async function inTurn(task: Task): Promise<unknown> {
  await new Promise((resolve) => setImmediate(resolve));
  return work(task);
}

function startThreads(workers: number): Piscina {
  const extension = extname(import.meta.url);
  const filename = fileURLToPath(new URL(`./worker${extension}`, import.meta.url));
  const tsx = (): string => pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  return new Piscina({
    filename,
    minThreads: workers,
    maxThreads: workers,
    ...(FROM_SOURCES ? { execArgv: ['--import', tsx()] } : {}),
  });
}
