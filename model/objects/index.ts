/** The kernel objects there are; one file each. A new object is a new file and its name here. */
import { type KernelObject, type Op, schema as threads } from '../machine.ts';
import type { Schema } from '../schema.ts';
import { buffer } from './buffer.ts';
import { client } from './client.ts';
import { context } from './context.ts';
import { fence } from './fence.ts';
import { flow } from './flow.ts';
import { lock } from './lock.ts';
import { memory } from './memory.ts';
import { mm } from './mm.ts';
import { resv } from './resv.ts';
import { ringObject } from './ring.ts';
import { scheduler } from './scheduler.ts';
import { sync } from './sync.ts';
import { timerObject } from './timer.ts';
import { userObject } from './user.ts';
import { userQueue } from './user-queue.ts';
import { workqueue } from './work.ts';

export const objects: readonly KernelObject[] = [
  buffer,
  client,
  context,
  fence,
  flow,
  lock,
  memory,
  mm,
  resv,
  ringObject,
  scheduler,
  sync,
  timerObject,
  userObject,
  userQueue,
  workqueue,
];

export const schema: Schema = Object.assign({}, threads, ...objects.map((object) => object.schema ?? {})) as Schema;
export const ops: Readonly<Record<string, Op>> = Object.fromEntries(
  objects.flatMap((object) => object.ops.map(({ opName, op }) => [opName, op])),
);
export const routines = Object.assign({}, ...objects.map((object) => object.routines ?? {})) as Readonly<
  Record<string, import('../machine.ts').Block>
>;

export * from './buffer.ts';
export * from './client.ts';
export * from './context.ts';
export * from './fence.ts';
export * from './flow.ts';
export * from './lock.ts';
export * from './memory.ts';
export * from './mm.ts';
export * from './resv.ts';
export * from './ring.ts';
export * from './scheduler.ts';
export * from './sync.ts';
export * from './timer.ts';
export * from './user.ts';
export * from './user-queue.ts';
export * from './work.ts';
