/**
 * The program: arguments in, an exit status out. 0: all is as it should be; 1: something is not; 2: the input is at
 * fault, and one line on standard error says what, where, and what exists; 130: interrupted.
 */
import { Command, CommanderError } from 'commander';
import { addCampaign } from './commands/campaign.ts';
import { addCheck } from './commands/check.ts';
import { addExplain } from './commands/explain.ts';
import { addFuzz } from './commands/fuzz.ts';
import { addInit } from './commands/init.ts';
import { addList } from './commands/list.ts';
import { addMerge } from './commands/merge.ts';
import { addReplay } from './commands/replay.ts';
import { addReport } from './commands/report.ts';
import { addShrink } from './commands/shrink.ts';
import { addWatch } from './commands/watch.ts';
import { addCompletion } from './completion.ts';
import { addWork } from './commands/work.ts';
import { version } from './files.ts';
import { USAGE, oneLine } from './refusal.ts';
import type { Terminal } from './terminal.ts';

/** Run one command line, without the program's own name. @throws only for a mistake of ours */
export async function main(args: readonly string[], terminal: Terminal): Promise<number> {
  let status = 0;
  const program = new Command('fenceproof');
  // Subcommands inherit how the program exits and writes from what is set before they are made.
  program
    .description('Settles arguments about Linux dma-fence designs before they are code.')
    .version(version, '-V, --version')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.say(text.trimEnd()),
      writeErr: () => undefined,
      getOutHelpWidth: () => terminal.look.width,
    })
    .showSuggestionAfterError(true);
  const finish = (with_: number): void => {
    status = with_;
  };
  for (const addTo of [
    addFuzz,
    addCheck,
    addReplay,
    addShrink,
    addExplain,
    addReport,
    addList,
    addInit,
    addWatch,
    addCampaign,
    addMerge,
    addWork,
  ])
    addTo(program, terminal, finish);
  addCompletion(program, args.at(-1) ?? '');
  if (args.length === 0) {
    terminal.say(program.helpInformation().trimEnd());
    return USAGE;
  }
  try {
    await program.parseAsync([...args], { from: 'user' });
    return status;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    terminal.warn(`fenceproof: ${oneLine(complaint(error, program, args))}`);
    return USAGE;
  }
}

const namesOf = (program: Command): string =>
  program
    .createHelp()
    .visibleCommands(program)
    .map((each) => each.name())
    .filter((name) => name !== 'help')
    .join(', ');

/** What commander complains about, with what exists. */
function complaint(error: CommanderError, program: Command, args: readonly string[]): string {
  const message = error.message.replace(/^error: /, '');
  const command = program.commands.find((each) => each.name() === args.find((arg) => !arg.startsWith('-')));
  switch (error.code) {
    case 'commander.unknownOption': {
      const flags = (command ?? program).options.map(({ long, short }) => long ?? short ?? '');
      return `${message}; there are: ${[...flags, '--help'].join(', ')}`;
    }
    case 'commander.help':
      return `unknown command '${args.at(-1) ?? ''}'; there are: ${namesOf(program)}`;
    case 'commander.unknownCommand':
      return `${message}; there are: ${namesOf(program)}`;
    case 'commander.missingArgument':
      return `${message}; usage: fenceproof ${command?.name() ?? ''} ${command?.usage() ?? ''}`;
    default:
      return message;
  }
}
