/** Guarded commands as a system: how the classic systems are written, so that they read like their publications. */
import type { Open } from '../../../model/machine.ts';
import { type Schema, bootState } from '../../../model/schema.ts';
import type { System } from '../system.ts';

export interface Command<S> {
  readonly when: (state: S) => boolean;
  readonly then: (state: S) => void;
}
export type Classic<S extends object> = System<S, never>;

export function classic<S extends object>(spec: {
  readonly schema: Schema;
  /** Rows by table, with start values. */
  readonly given: Record<string, unknown>;
  /** Commands by process and name. */
  readonly processes: Readonly<Record<string, Readonly<Record<string, Command<S>>>>>;
}): Classic<S> {
  const { processes } = spec;
  return {
    schema: spec.schema,
    boot: bootState(spec.schema, spec.given) as S,
    processes: Object.keys(processes),
    open(state, process): Open {
      const outcomes = Object.entries(processes[process] ?? {})
        .filter(([, { when }]) => when(state))
        .map(([name]) => name);
      return outcomes.length === 0 ? { kind: 'finished' } : { kind: 'ready', outcomes, nature: 'owed', strong: false };
    },
    step(state, process, outcome) {
      processes[process]?.[outcome]?.then(state);
      return [];
    },
    line: (_state, process) => process,
  };
}
