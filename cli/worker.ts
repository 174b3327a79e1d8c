/** What a worker thread runs: one task at a time. */
import { type Task, work } from './tasks/index.ts';

export default async function worker(task: Task): Promise<unknown> {
  return work(task);
}
