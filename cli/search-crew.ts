/**
 * The threads of a parallel search, as seen from the one that leads it. A thread that dies, whatever kills it, is an
 * error in every answer that is still owed, so the search ends with a line and not with silence.
 */
import { createRequire } from 'node:module';
import { extname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker as Thread } from 'node:worker_threads';
import { Learned } from '../properties/search/learned.ts';
import type { Watch, Worker } from '../properties/search/parallel/member.ts';
import {
  type Hand,
  type Together,
  type TogetherOptions,
  together,
  trails,
} from '../properties/search/parallel/together.ts';
import type { System } from '../properties/search/system.ts';

/** How a thread comes by its system: an exported function of a module, and what to call it with. */
export interface Recipe {
  /** URL of the module. */
  readonly module: string;
  readonly name: string;
  readonly args: readonly unknown[];
  /** Timers only when nothing fair can move. */
  readonly patient: boolean;
}
/** What that function makes: a system, or a system with a start of its own and something to watch for. */
export interface Searchable {
  readonly system: System<object, unknown>;
  readonly start?: object;
  readonly watch?: (learned: Learned<object, unknown>) => Watch<unknown>;
}
/** A question with its number, and the answer or what went wrong. */
export interface Question {
  readonly number: number;
  readonly ask: keyof Worker;
  readonly given: readonly unknown[];
}
export interface Answer {
  readonly number: number;
  readonly answer?: unknown;
  readonly wrong?: string;
}

/** @throws when the module has no such function */
export async function searchableOf({ module, name, args }: Recipe): Promise<Searchable> {
  const made = (await import(module)) as Record<string, unknown>;
  const make = made[name];
  if (typeof make !== 'function')
    throw new Error(`${module} has no function "${name}"; there are: ${Object.keys(made).sort().join(', ')}`);
  const searchable = (await (make as (...all: readonly unknown[]) => unknown)(...args)) as
    | Searchable
    | Searchable['system'];
  return 'system' in searchable ? searchable : { system: searchable };
}

export interface Crew {
  readonly hands: readonly Hand[];
  readonly threads: readonly Thread[];
  close(): Promise<void>;
}

export function openCrew(recipe: Recipe, workers: number): Crew {
  const members = Array.from({ length: workers }, (_, nth) => member(recipe, nth + 1));
  return {
    hands: members.map(({ hand }) => hand),
    threads: members.map(({ thread }) => thread),
    close: async () => {
      await Promise.all(members.map(({ thread }) => thread.terminate()));
    },
  };
}

/** What a parallel search found, with a schedule for everything that it noticed. */
export interface TogetherFound extends Together {
  readonly schedules: ReadonlyMap<string, readonly string[]>;
}

/** Search with so many threads; the answer is the same for any number of them. */
export async function searchTogether(
  recipe: Recipe,
  workers: number,
  options: TogetherOptions,
): Promise<TogetherFound> {
  const crew = openCrew(recipe, workers);
  let found: Together;
  try {
    found = await together(crew.hands, options);
  } finally {
    await crew.close();
  }
  if (found.sights.length === 0) return { ...found, schedules: new Map() };
  const { system, start } = await searchableOf(recipe);
  const learned = new Learned(system);
  const from = learned.packing.pack(start ?? system.boot);
  return { ...found, schedules: trails(learned, from, recipe.patient, found.sights) };
}

function member(recipe: Recipe, nth: number): { hand: Hand; thread: Thread } {
  const extension = extname(import.meta.url);
  const file = new URL(`./search-worker${extension}`, import.meta.url);
  // Sources need tsx, which a thread has to be taught before it can read its first file.
  const tsx = (): string =>
    pathToFileURL(
      createRequire(import.meta.url)
        .resolve('tsx/esm/api')
        .replace(/\.cjs$/, '.mjs'),
    ).href;
  const taught = (): string =>
    `import(${JSON.stringify(tsx())}).then(({ register }) => { register(); return import(${JSON.stringify(file.href)}); });`;
  const thread =
    extension === '.ts'
      ? new Thread(taught(), { eval: true, workerData: recipe })
      : new Thread(file, { workerData: recipe });
  const owed = new Map<number, { resolve: (answer: never) => void; reject: (error: Error) => void }>();
  let ended: Error | undefined;
  let asked = 0;
  const end = (why: string): void => {
    ended ??= new Error(`worker ${nth} ${why}`);
    for (const { reject } of owed.values()) reject(ended);
    owed.clear();
  };
  thread.on('message', ({ number, answer, wrong }: Answer) => {
    const waiting = owed.get(number);
    owed.delete(number);
    if (wrong === undefined) waiting?.resolve(answer as never);
    else waiting?.reject(new Error(`worker ${nth}: ${wrong}`));
  });
  thread.on('error', (error) => end(`failed: ${error.message}`));
  thread.on('exit', () => end('was killed or ended before its time'));
  const ask =
    (what: Question['ask']) =>
    (...given: readonly unknown[]): Promise<never> =>
      new Promise<never>((resolve, reject) => {
        if (ended) {
          reject(ended);
          return;
        }
        asked += 1;
        owed.set(asked, { resolve, reject });
        thread.postMessage({ number: asked, ask: what, given } satisfies Question);
      });
  return {
    thread,
    hand: {
      use: ask('use'),
      move: ask('move'),
      begin: ask('begin'),
      expand: ask('expand'),
      turn: ask('turn'),
      give: ask('give'),
      take: ask('take'),
    },
  };
}
