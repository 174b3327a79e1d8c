/**
 * What a thread of a parallel search runs: it makes the system anew, because programs and functions do not cross into a
 * thread, and answers one question after another.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { Learned } from '../properties/search/learned.ts';
import { Member } from '../properties/search/parallel/member.ts';
import { type Answer, type Question, type Recipe, searchableOf } from './search-crew.ts';

async function answering(recipe: Recipe, port: NonNullable<typeof parentPort>): Promise<void> {
  const { system, start, watch } = await searchableOf(recipe);
  const learned = new Learned(system);
  const member = new Member(learned, learned.packing.pack(start ?? system.boot), recipe.patient, watch?.(learned));
  port.on('message', ({ number, ask, given }: Question) => {
    try {
      const answer: unknown = (member[ask] as (...all: unknown[]) => unknown).apply(member, [...given]);
      port.postMessage({ number, answer } satisfies Answer);
    } catch (error) {
      port.postMessage({ number, wrong: (error as Error).message } satisfies Answer);
    }
  });
}
if (parentPort && workerData) await answering(workerData as Recipe, parentPort);
