// A file that is no trace, or cannot be read: one line for a person, with file, line and field.
import { type Problem, showProblem } from '../../yaml-file.ts';

export class TraceProblem extends Error {
  readonly problem: Problem;
  constructor(problem: Problem) {
    super(showProblem(problem));
    this.name = 'TraceProblem';
    this.problem = problem;
  }
}
