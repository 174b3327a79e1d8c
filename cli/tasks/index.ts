/**
 * The work that takes long, as data in and data out: the same in a worker and in this process.
 *
 * A task names its design and properties, because programs and functions do not cross into a worker. What must be
 * known while it runs (how far it is, whether to stop) crosses through a few shared counters.
 */
import type { Entry } from '../../corpus/entry.ts';
import { type Status, statusOf } from '../../corpus/status.ts';
import type { Audit } from '../../properties/search/audit.ts';
import type { BatchDone } from '../../properties/search/campaign/batch.ts';
import type { Deadlocks } from '../../properties/search/campaign/realised.ts';
import { chooseProperties, chosenBy } from '../designs.ts';
import { type AuditTask, auditing } from './audit.ts';
import { type CostDone, type CostTask, costing } from './cost.ts';
import { type BatchTask, playing } from './batch.ts';
import { type EstimateDone, type EstimateTask, estimating } from './estimate.ts';
import { type FuzzDone, type FuzzTask, fuzzing } from './fuzz.ts';
import { type ProofTask, proving } from './proof.ts';
import { type PageDone, type PageTask, paging } from './page.ts';
import { type SchedulesDone, type SchedulesTask, scheduling } from './schedules.ts';
import { type ShrinkDone, type ShrinkTask, shrinking } from './shrink.ts';
import { type SpinDone, type SpinTask, spinning } from './spin.ts';
import { type SweepDone, type SweepTask, sweeping } from './sweep.ts';

export interface StatusTask {
  readonly kind: 'status';
  readonly entry: Entry;
  readonly from?: string;
}

export type Task =
  | FuzzTask
  | BatchTask
  | ProofTask
  | SweepTask
  | AuditTask
  | CostTask
  | SpinTask
  | EstimateTask
  | SchedulesTask
  | ShrinkTask
  | PageTask
  | StatusTask;

export interface Results {
  readonly fuzz: FuzzDone;
  readonly batch: BatchDone;
  readonly proof: Deadlocks;
  readonly sweep: SweepDone;
  readonly audit: Audit;
  readonly spin: SpinDone;
  readonly cost: CostDone;
  readonly estimate: EstimateDone;
  readonly schedules: SchedulesDone;
  readonly shrink: ShrinkDone;
  readonly page: PageDone;
  readonly status: Status;
}

/** Do one task. @throws when a name in it is unknown, listing what exists */
export async function work(task: Task): Promise<Results[Task['kind']]> {
  switch (task.kind) {
    case 'fuzz':
      return fuzzing(task);
    case 'batch':
      return playing(task);
    case 'proof':
      return proving(task);
    case 'sweep':
      return sweeping(task);
    case 'audit':
      return auditing(task);
    case 'spin':
      return spinning(task);
    case 'cost':
      return costing(task);
    case 'estimate':
      return estimating(task);
    case 'schedules':
      return scheduling(task);
    case 'shrink':
      return shrinking(task);
    case 'page':
      return paging(task);
    case 'status':
      return statusOf(task.entry, (await chosenBy(task.entry.design, task.from)).design, chooseProperties([]));
  }
}
