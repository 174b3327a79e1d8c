/**
 * What a user's own design, or a program, imports from 'fenceproof': how to declare a design, every instruction there
 * is, and the searches and judges for whoever wants them without a terminal.
 */
export type { Case } from '../model/case.ts';
export {
  type Booted,
  type CallSpec,
  type Design,
  type Expectation,
  type Kernel,
  type Knobs,
  type PropertyName,
  type Workload,
  PROPERTIES,
  boot,
  design,
  type Objects,
  ioctl,
  may,
  must,
  names,
  settings,
} from '../model/design.ts';
export type { Block, Instruction, ThreadSpec, Wait } from '../model/machine.ts';
export * from '../model/objects/index.ts';
export { properties } from '../properties/index.ts';
export { type Judgement, type Verdict, judge } from '../properties/judge.ts';
export type { Blame, Property } from '../properties/property.ts';
export { type FuzzFinding, type FuzzOptions, type Fuzzed, fuzz } from '../properties/search/fuzz.ts';
export type { Finding } from '../properties/search/observer.ts';
export { type Sweep, type SweepOptions, sweep } from '../properties/search/sweep.ts';
export { reporters } from '../reports/index.ts';
export { type Telling, tell } from '../reports/telling.ts';
export { type ShrinkRequest, type Shrunk, type Want, shrink } from '../shrinkers/shrink.ts';
