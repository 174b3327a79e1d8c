/**
 * The work of a campaign as jobs of BullMQ on Redis or Valkey, so that workers on any machine can take part, and come and
 * go at any time.
 *
 * A job is done by whoever takes it, under a lock that is renewed while it is under way. A worker that falls silent has lost
 * its job, which is given to another once; a second time it has failed. A piece of work has one name, so its answer is counted
 * once, whoever gave it. The work itself runs in threads: the thread that renews locks must stay awake.
 */
import { Queue, QueueEvents, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { hashOf } from '../../corpus/entry.ts';
import { oneLine, refusal } from '../refusal.ts';
import { type Plan, identityOfPlan, programsHash } from './plan.ts';
import type { Performer, Work } from './player.ts';

const QUEUE = 'fenceproof';
/** A lost job is given to another worker so often. */
const MOST_LOSSES = 1;
/** Answers stay for a coordinator that was killed and comes back. */
const KEPT_SECONDS = 24 * 3600;

interface Job {
  /** The work, as text: maps and sets survive in it. */
  readonly work: string;
  /** Of all that is declared at the setting: whoever has another design there must not take part. */
  readonly programs: string;
}

const asText = (value: unknown): string =>
  JSON.stringify(value, (_key, each: unknown) =>
    each instanceof Map ? { $map: [...each] } : each instanceof Set ? { $set: [...each] } : each,
  );
const fromText = (text: string): unknown =>
  JSON.parse(text, (_key, each: { $map?: [unknown, unknown][]; $set?: unknown[] } | null) =>
    each?.$map ? new Map(each.$map) : each?.$set ? new Set(each.$set) : each,
  );

/** A connection that is there. @throws when it is not, in one line */
async function connected(url: string): Promise<Redis> {
  const redis = new Redis(url, { lazyConnect: true, maxRetriesPerRequest: null, retryStrategy: () => null });
  redis.on('error', () => undefined); // the promise says it
  try {
    await redis.connect();
  } catch (error) {
    redis.disconnect();
    throw refusal(
      `--queue: cannot reach ${oneLine(url.replace(/\/\/[^@/]*@/, '//'))}: ${oneLine((error as Error).message)}`,
    );
  }
  redis.disconnect();
  return new Redis(url, { maxRetriesPerRequest: null });
}

export interface Remote {
  readonly perform: Performer;
  /** Take back what nobody has begun; it fails. */
  cancel(): Promise<void>;
  close(): Promise<void>;
}

/** Have work done by whoever listens there. */
export async function overQueue(url: string, plan: Plan): Promise<Remote> {
  const connection = await connected(url);
  const queue = new Queue<Job>(QUEUE, { connection });
  const listening = connection.duplicate();
  const events = new QueueEvents(QUEUE, { connection: listening });
  await events.waitUntilReady();
  const campaign = hashOf(identityOfPlan(plan));
  const waiting = new Map<string, (error: Error) => void>();
  return {
    async perform(work, name) {
      const jobId = `${campaign}-${name}`;
      const job = await queue.add(
        work.kind,
        { work: asText(work), programs: await programsHash(work.setting) },
        { jobId, removeOnComplete: { age: KEPT_SECONDS }, removeOnFail: true },
      );
      const taken = new Promise<never>((_resolve, reject) => waiting.set(jobId, reject));
      try {
        return fromText((await Promise.race([job.waitUntilFinished(events), taken])) as string);
      } finally {
        waiting.delete(jobId);
      }
    },
    async cancel() {
      for (const [jobId, reject] of waiting)
        if ((await queue.remove(jobId).catch(() => 0)) === 1) reject(new Error('taken back'));
    },
    async close() {
      await events.close();
      await queue.close();
      listening.disconnect();
      connection.disconnect();
    },
  };
}

export interface Helper {
  /** Finish what is under way, and take nothing more. */
  close(): Promise<void>;
}

/**
 * Take part: do whatever work is there, so many pieces at a time.
 * @param lostAfter milliseconds after which a silent worker has lost its job
 */
export async function takePart(
  url: string,
  options: {
    readonly width: number;
    readonly lostAfter: number;
    readonly perform: Performer;
    readonly done: (kind: Work['kind']) => void;
    readonly warn: (line: string) => void;
  },
): Promise<Helper> {
  const connection = await connected(url);
  const worker = new Worker<Job, string>(
    QUEUE,
    async ({ data, id = '' }) => {
      const work = fromText(data.work) as Work;
      if ((await programsHash(work.setting)) !== data.programs)
        throw new Error(`a worker has another ${work.setting.design}; all must run the same fenceproof and designs`);
      const answer = asText(await options.perform(work, id));
      options.done(work.kind);
      return answer;
    },
    {
      connection,
      concurrency: options.width,
      lockDuration: options.lostAfter,
      stalledInterval: options.lostAfter,
      maxStalledCount: MOST_LOSSES,
    },
  );
  worker.on('error', (error) => options.warn(oneLine(error.message)));
  worker.on('failed', (job, error) => options.warn(`${job?.id ?? 'a job'}: ${oneLine(error.message)}`));
  await worker.waitUntilReady();
  return {
    async close() {
      await worker.close();
      connection.disconnect();
    },
  };
}
