/** Values and waits of the machine in words, the same on a terminal and on a page. */
import type { Change } from '../corpus/steps.ts';
import type { Frame, Wait } from '../model/machine.ts';
import { canonical } from '../model/schema.ts';

/** A value as a person reads it; a stack is its routines and lines, innermost last, with variables where they say more. */
function shown(slot: string, value: unknown, other: unknown): string {
  if (/^threads\..*\.frames$/.test(slot) && Array.isArray(value))
    return value.map((frame: Frame, depth) => frameText(frame, (other as Frame[])[depth])).join(' › ') || 'done';
  if (/^threads\..*\.held$/.test(slot) && Array.isArray(value))
    return `{${value.map(({ object }: { object: string }) => object).join(', ')}}`;
  return canonical(value);
}
/** Variables are shown where they are all that differs from the same frame on the other side. */
function frameText({ routine, pc, vars }: Frame, other: Frame | undefined): string {
  const moved = other?.routine !== routine || other.pc !== pc;
  if (moved || canonical(vars) === canonical(other.vars)) return `${routine}:${pc}`;
  const told = Object.entries(vars).filter(([name, value]) => other.vars[name] !== value);
  if (told.length === 0) return `${routine}:${pc}`;
  return `${routine}:${pc} {${told.map(([name, value]) => `${name}=${value}`).join(', ')}}`;
}

/** Before and after, so that a person sees the difference. */
export const shownChange = ({ slot, from, to }: Change): readonly [string, string] => [
  shown(slot, from, to),
  shown(slot, to, from),
];

export const waitText = (thread: string, { object, because, owedBy, any }: Wait): string =>
  `${thread} waits for ${object}${owedBy.length > 0 ? ` (owed by ${owedBy.join(any ? ' or ' : ', ')})` : ''}, because ${because}`;
