/**
 * From blocks, as designs write them, to flat programs, as threads run them.
 *
 * Why flat: a frame is then a routine and a number, two threads at the same line are equal texts, and a backtrace
 * is a list of names.
 */
import type { Block, Instruction, Operand } from './machine.ts';

/** Structured lines that the compiler turns into jumps; see objects/flow.ts for the jumps themselves. */
const isLine = (part: Instruction | Block): part is Instruction => !Array.isArray(part);

/** The lines of a block, nested lists opened. */
export const lines = (block: Block): Instruction[] => block.flatMap((part) => (isLine(part) ? [part] : lines(part)));

/**
 * Compile one routine: open nested lists, turn `if_ret`, `if_var`, `while_var`, `forever` and
 * `handler` into jumps, resolve labels.
 * `quiet`: a story does not show its choices, for it is one call of the kernel.
 * @throws when a label is unknown or stands twice; the error lists the labels there are.
 */
export function compile(routine: string, block: Block, quiet = false): Instruction[] {
  const flat: Instruction[] = [];
  const labels = new Map<string, number>();
  const place = (label: string): void => {
    if (labels.has(label)) throw new Error(`${routine}: label "${label}" stands twice`);
    labels.set(label, flat.length);
  };
  const shown = (line: Instruction): Operand => {
    const test = line['test'] as Readonly<Record<string, Operand>>;
    return quiet ? { ...test, quiet } : test;
  };
  let minted = 0;
  /** Where a `return_` goes: the end of the handler around it, or out of the routine. */
  let leave: string | undefined;
  const emit = (part: Block): void => {
    for (const line of lines(part)) {
      switch (line.op) {
        case 'label':
          place(line['name'] as string);
          break;
        case 'if': {
          const otherwise = `#else${(minted += 1)}`;
          const end = `#end${minted}`;
          flat.push({ op: 'jump_unless', test: shown(line), to: otherwise });
          emit(line['then'] as unknown as Block);
          const rest = line['otherwise'] as unknown as Block;
          if (rest.length > 0) flat.push({ op: 'jump', to: end });
          place(otherwise);
          emit(rest);
          place(end);
          break;
        }
        case 'forever': {
          const start = `#loop${(minted += 1)}`;
          place(start);
          emit(line['body'] as unknown as Block);
          flat.push({ op: 'jump', to: start });
          break;
        }
        case 'while': {
          const start = `#loop${(minted += 1)}`;
          const end = `#end${minted}`;
          place(start);
          flat.push({ op: 'jump_unless', test: shown(line), to: end });
          emit(line['body'] as unknown as Block);
          flat.push({ op: 'jump', to: start });
          place(end);
          break;
        }
        case 'handler': {
          const [end, outer] = [`#end${(minted += 1)}`, leave];
          leave = end;
          emit(line['body'] as unknown as Block);
          leave = outer;
          place(end);
          break;
        }
        case 'return':
          flat.push(leave === undefined ? line : { op: 'jump', to: leave });
          break;
        default:
          flat.push(line);
      }
    }
  };
  emit(block);
  return flat.map((line) =>
    typeof line['to'] === 'string' && line.op.startsWith('jump') ? { ...line, to: find(line['to']) } : line,
  );

  function find(label: string): number {
    const at = labels.get(label);
    if (at === undefined) {
      const named = [...labels.keys()].filter((each) => !each.startsWith('#'));
      throw new Error(`${routine}: goto unknown label "${label}"; there are: ${named.join(', ') || 'none'}`);
    }
    return at;
  }
}
