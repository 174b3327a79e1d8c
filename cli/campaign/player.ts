/**
 * Plays batches with the workers of this process. A worker that crashes, or that stands still for too long, is contained:
 * it is replaced, the batch is tried once more, and if that fails too, what went wrong is the answer.
 */
import type { ChainState } from '../../properties/search/campaign/chain.ts';
import type { BatchDone } from '../../properties/search/campaign/batch.ts';
import type { Pool } from '../pool.ts';
import { took } from '../progress.ts';
import { CANARY_PROPERTIES, CANARY_RUNS, planted } from './canary.ts';
import type { Player } from './engine.ts';
import type { CanaryRecord } from './journal.ts';
import { type Plan, seedOf, settingOf } from './plan.ts';
import { Chain } from '../../properties/search/campaign/chain.ts';

/** Words that shrinking one finding may play, and states that each proof may search. */
const SHRINK_STEPS = 400_000;
const PROOF_STATES = 200_000;
/** So much more patience is there for a batch that no worker has begun. */
const TO_BEGIN = 10;
/** How often a batch is tried. */
const TRIES = 2;

/** @param patience milliseconds for which a batch may stand still */
export function localPlayer(plan: Plan, pool: Pool, patience: number): Player {
  const common = (setting: number) => ({
    setting: settingOf(plan, setting),
    properties: plan.properties,
    counters: pool.counters,
  });
  return {
    width: Math.max(1, pool.size),
    async batch(chain, round, state) {
      const task = {
        kind: 'batch' as const,
        ...common(chain),
        seed: seedOf(plan, chain, round),
        runs: plan.runs,
        strategies: plan.strategies,
        state,
      };
      for (let tried = 1; ; tried += 1) {
        try {
          return await watched(patience, (abort, pulse) => pool.run<'batch'>({ ...task, pulse }, abort));
        } catch (error) {
          if (tried === TRIES || pool.stopped) throw error;
        }
      }
    },
    shrink: (setting, { run, blame }) =>
      pool.run<'shrink'>({
        kind: 'shrink',
        ...common(setting),
        run,
        want: { property: blame.property, kind: blame.kind },
        budget: SHRINK_STEPS,
        maxStates: PROOF_STATES,
      }),
    proof: (setting) => pool.run<'proof'>({ kind: 'proof', ...common(setting), maxStates: PROOF_STATES }),
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

/** Play the planted bug with the strategies of this campaign. */
export async function playCanary(plan: Plan, pool: Pool): Promise<CanaryRecord> {
  const done: BatchDone = await pool.run<'batch'>({
    kind: 'batch',
    setting: { design: planted.name, knobs: {} },
    properties: CANARY_PROPERTIES,
    counters: pool.counters,
    seed: plan.seed,
    runs: CANARY_RUNS,
    strategies: plan.strategies,
    state: new Chain() as ChainState,
  });
  const found = done.found.find(({ blame }) => blame.property === 'no-deadlock');
  return { kind: 'canary', run: found?.runs ?? 0, of: CANARY_RUNS };
}
