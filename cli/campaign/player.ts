/**
 * Plays the work of a campaign: batches, shrinking, proofs. Each piece of work is data and so is its answer, so it does not
 * matter whether a worker of this process does it or one on another machine (queue.ts).
 *
 * A worker that crashes, or that stands still for too long, is contained: it is replaced, its batch is tried once more,
 * and if that fails too, what went wrong is the answer.
 */
import type { BatchDone } from '../../properties/search/campaign/batch.ts';
import { Chain } from '../../properties/search/campaign/chain.ts';
import type { Deadlocks } from '../../properties/search/campaign/realised.ts';
import type { Pool } from '../pool.ts';
import { took } from '../progress.ts';
import type { BatchTask } from '../tasks/batch.ts';
import type { ProofTask } from '../tasks/proof.ts';
import type { ShrinkDone, ShrinkTask } from '../tasks/shrink.ts';
import { CANARY_PROPERTIES, CANARY_RUNS, planted } from './canary.ts';
import type { Player } from './engine.ts';
import type { CanaryRecord } from './journal.ts';
import { type Plan, seedOf, settingOf } from './plan.ts';
import { hashOfRaw } from './summary.ts';

/** Words that shrinking one finding may play, and states that each proof may search. */
const SHRINK_STEPS = 400_000;
const PROOF_STATES = 200_000;
/** So much more patience is there for a batch that no worker has begun. */
const TO_BEGIN = 10;
/** How often a batch is tried. */
const TRIES = 2;

type Told<T> = Omit<T, 'counters' | 'pulse'>;
export type Work = Told<BatchTask> | Told<ShrinkTask> | Told<ProofTask>;
/** Does a piece of work; `name` is its own within the campaign. */
export type Performer = (work: Work, name: string) => Promise<unknown>;

/** The player of a plan. @param width how many pieces of work may be under way at a time */
export function playerOf(plan: Plan, width: number, perform: Performer): Player {
  const common = (setting: number) => ({ setting: settingOf(plan, setting), properties: plan.properties });
  return {
    width,
    batch: async (chain, round, state) =>
      (await perform(
        {
          kind: 'batch',
          ...common(chain),
          seed: seedOf(plan, chain, round),
          runs: plan.runs,
          strategies: plan.strategies,
          state,
        },
        `batch-${chain}-${round}`,
      )) as BatchDone,
    shrink: async (setting, raw) =>
      (await perform(
        {
          kind: 'shrink',
          ...common(setting),
          run: raw.run,
          want: { property: raw.blame.property, kind: raw.blame.kind },
          budget: SHRINK_STEPS,
          maxStates: PROOF_STATES,
        },
        `shrink-${setting}-${hashOfRaw(raw)}`,
      )) as ShrinkDone,
    proof: async (setting) =>
      (await perform({ kind: 'proof', ...common(setting), maxStates: PROOF_STATES }, `proof-${setting}`)) as Deadlocks,
  };
}

/** Work done by the workers of this process. @param patience milliseconds for which a batch may stand still */
export function inPool(pool: Pool, patience: number): Performer {
  const { counters } = pool;
  return async (work) => {
    if (work.kind === 'shrink') return pool.run<'shrink'>({ ...work, counters });
    if (work.kind === 'proof') return pool.run<'proof'>({ ...work, counters });
    for (let tried = 1; ; tried += 1) {
      try {
        return await watched(patience, (abort, pulse) => pool.run<'batch'>({ ...work, counters, pulse }, abort));
      } catch (error) {
        if (tried === TRIES || pool.stopped) throw error;
      }
    }
  };
}

/** Run it until it is done, or until it has stood still for that long. */
async function watched<T>(
  patience: number,
  go: (abort: AbortSignal, pulse: Int32Array<SharedArrayBuffer>) => Promise<T>,
): Promise<T> {
  const pulse = new Int32Array(new SharedArrayBuffer(4));
  const ending = new AbortController();
  let before = 0;
  let quiet = 0;
  const clock = setInterval(() => {
    const now = Atomics.load(pulse, 0);
    quiet = now === before ? quiet + 1 : 0;
    before = now;
    // Until a worker takes it up it may wait for one to start, which takes a while where much is going on.
    if (quiet >= (now === 0 ? TO_BEGIN : 1)) ending.abort();
  }, patience);
  try {
    return await go(ending.signal, pulse);
  } catch (error) {
    throw ending.signal.aborted ? new Error(`it stood still for ${took(patience)}, and its worker was ended`) : error;
  } finally {
    clearInterval(clock);
  }
}

/** Play the planted bug with these strategies. */
export async function playCanary(
  { seed, strategies }: Pick<Plan, 'seed' | 'strategies'>,
  perform: Performer,
): Promise<CanaryRecord> {
  const setting = { design: planted.name, knobs: {} };
  const common = { setting, properties: CANARY_PROPERTIES, seed, runs: CANARY_RUNS, strategies };
  const done = (await perform({ kind: 'batch', ...common, state: new Chain() }, 'canary')) as BatchDone;
  const found = done.found.find(({ blame }) => blame.property === 'no-deadlock');
  return { kind: 'canary', run: found?.runs ?? 0, of: CANARY_RUNS };
}
