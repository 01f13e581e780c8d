/* SPDX-License-Identifier: BSD-2-Clause */
/* `tarpitctl setup postfix`: makes the planned changes, keeps what they were, and undoes them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "config/config.h"
#include "facts.h"
#include "options.h"
#include "plan.h"
#include "say.h"
#include "state.h"

#define ERROR_MAX 512
#define REFUSED 1

static int fail(const struct postconf *postconf)
{
	return say_fault(postconf->is_missing ? EX_UNAVAILABLE : REFUSED, "%s", postconf->error);
}

/* --- making --------------------------------------------------------------------------------- */

static void show(const struct change *change, const struct command *command)
{
	if (change->why != NULL)
		say("%s", change->why);
	say_command(command->argv);
}

/* Shows all changes, and makes them unless this is a dry run. */
static bool make_all(const struct changes *changes, struct postconf *postconf, bool dry_run)
{
	bool is_done = true;

	for (size_t i = 0; i < changes->count && is_done; i++) {
		struct command command = change_command(&changes->rows[i], postconf);

		show(&changes->rows[i], &command);
		is_done = dry_run || command_run(&command, postconf);
		command_free(&command);
	}
	return is_done;
}

/* On disk before anything is done, so that it can be undone whatever happens. */
static bool keep(struct state *state, const struct plan *plan, char *error, size_t size)
{
	copies_begin(&state->copies, state->postfix, !state->exists);
	free(state->entry);
	state->entry = say_format("%s", plan->entry);
	for (size_t i = 0; i < plan->changes.count; i++)
		changes_put(&state->changes, &plan->changes.rows[i]);
	return state_write(state, error, size);
}

static void tell_how_to_undo(const struct setup_options *options)
{
	const char *words[9] = {"tarpitctl", "setup", "postfix", "--undo"};
	size_t count = 4;

	if (options->config_dir != NULL) {
		words[count++] = "--config-dir";
		words[count++] = options->config_dir;
	}
	if (strcmp(options->state_dir, SETUP_STATE_DIR) != 0) {
		words[count++] = "--state-dir";
		words[count++] = options->state_dir;
	}
	/* Not as a command: who gives all of this to a shell wants to keep it. */
	say("To take it back:");
	fputs("#     ", stdout);
	say_command(words);
}

static void tell_what_is_left(const struct setup_options *options, const struct plan *plan)
{
	bool has_new_member = false;

	for (size_t i = 0; i < plan->changes.count; i++)
		has_new_member |= plan->changes.rows[i].kind == CHANGE_MEMBER;
	if (has_new_member)
		say("Now restart Postfix, so that it sees its new group: systemctl restart "
		    "postfix");
	else
		say("Now have Postfix read that: postfix reload");
	tell_how_to_undo(options);
}

static int make(const struct setup_options *options, struct postconf *postconf,
		const struct facts *facts, const struct plan *plan, struct state *state)
{
	char error[ERROR_MAX];

	if (plan->changes.count == 0) {
		say("Nothing to change in %s: all is there.", facts->directory);
		return EX_OK;
	}
	say("Postfix %s, %s%s", facts->version, facts->directory,
	    options->dry_run ? ": what setup would do" : "");
	if (!options->dry_run && !keep(state, plan, error, sizeof(error)))
		return say_fault(REFUSED, "%s", error);
	if (!make_all(&plan->changes, postconf, options->dry_run)) {
		fail(postconf);
		say("Not all was done.");
		tell_how_to_undo(options);
		return REFUSED;
	}
	if (options->dry_run)
		return EX_OK;
	copies_finish(&state->copies, state->postfix);
	tell_what_is_left(options, plan);
	return state_write(state, error, sizeof(error)) ? EX_OK : say_fault(REFUSED, "%s", error);
}

/* Whether setup understands this Postfix. */
static bool is_understood(const struct setup_options *options, const struct facts *facts)
{
	if (!facts_is_recent(facts->version)) {
		return say_refusal(
			"Postfix %s has no settings for one milter alone: see README for "
			"the lines to add by hand",
			facts->version);
	}
	if (facts->instances[0] != '\0' && options->config_dir == NULL) {
		return say_refusal("there are several Postfix here (%s): name the one with "
				   "--config-dir",
				   facts->instances);
	}
	return true;
}

static int plan_and_make(const struct setup_options *options, struct postconf *postconf,
			 const struct facts *facts, const struct config *config)
{
	struct plan plan = {0};
	struct state state;
	char error[ERROR_MAX];
	int status;

	if (!state_read(&state, options->state_dir, facts->directory, error, sizeof(error))) {
		status = say_fault(REFUSED, "%s", error);
	} else if (!plan_make(&plan, facts, config, &state)) {
		status = REFUSED;
	} else {
		status = make(options, postconf, facts, &plan, &state);
		if (status == EX_OK)
			plan_advise(facts, config);
	}
	plan_free(&plan);
	state_free(&state);
	return status;
}

static int set_up(const struct setup_options *options, struct postconf *postconf)
{
	struct config *config = setup_config(options);
	struct facts facts;
	int status;

	if (config == NULL)
		return EX_CONFIG;
	if (!facts_read(&facts, postconf))
		status = fail(postconf);
	else
		status = is_understood(options, &facts)
				 ? plan_and_make(options, postconf, &facts, config)
				 : REFUSED;
	facts_free(&facts);
	config_release(config);
	return status;
}

/* --- undoing -------------------------------------------------------------------------------- */

static bool is_same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* From the best to the worst. */
enum outcome { UNDONE, LEFT, FAILED };

/* Somebody else has changed it since: theirs stays. */
static enum outcome leave(const struct change *change, const char *now,
			  const struct command *command)
{
	say_fault(REFUSED, "%s: it is not what setup has made of it, and stays%s%s", change->name,
		  now != NULL ? ": " : "; it is gone", now != NULL ? now : "");
	say("By hand, if you mean that:");
	say_command(command->argv);
	return LEFT;
}

static enum outcome undo_one(const struct change *change, const char *now,
			     struct postconf *postconf, bool dry_run)
{
	struct command command = change_undo_command(change, postconf);
	enum outcome outcome = UNDONE;

	if (is_same(now, change->before)) {
		say("%s is as it was before", change->name);
	} else if (!is_same(now, change->after)) {
		outcome = leave(change, now, &command);
	} else {
		say_command(command.argv);
		if (!dry_run && !command_run(&command, postconf)) {
			fail(postconf);
			outcome = change->kind == CHANGE_FOLDER ? LEFT : FAILED;
		}
	}
	command_free(&command);
	return outcome;
}

/* Whether the change was in a file that has been put back whole. */
static bool is_in(const struct change *change, const bool restored[COPIES])
{
	return (change->kind == CHANGE_MAIN && restored[COPY_MAIN]) ||
	       (change->kind == CHANGE_SERVICE && restored[COPY_MASTER]);
}

/*
 * Looks at all before it changes any, for postconf waits for two seconds before it reads a file
 * that was changed just now. now has room for each, and is the caller's to free.
 */
static enum outcome undo_each(const struct changes *changes, struct postconf *postconf,
			      bool dry_run, const bool restored[COPIES], char **now)
{
	enum outcome worst = UNDONE;

	for (size_t i = 0; i < changes->count; i++)
		if (!is_in(&changes->rows[i], restored) &&
		    !change_look(&changes->rows[i], postconf, &now[i])) {
			fail(postconf);
			return FAILED;
		}
	/* The last one first. */
	for (size_t i = changes->count; i > 0; i--) {
		const struct change *change = &changes->rows[i - 1];
		enum outcome outcome = UNDONE;

		if (!is_in(change, restored))
			outcome = undo_one(change, now[i - 1], postconf, dry_run);
		if (outcome > worst)
			worst = outcome;
	}
	return worst;
}

static int undo_all(const struct setup_options *options, struct postconf *postconf,
		    struct state *state)
{
	char error[ERROR_MAX], **now = calloc(state->changes.count + 1, sizeof(*now));
	bool restored[COPIES];
	enum outcome outcome;

	if (now == NULL)
		abort();
	copies_restore(&state->copies, state->postfix, options->dry_run, restored);
	outcome = undo_each(&state->changes, postconf, options->dry_run, restored, now);
	for (size_t i = 0; i < state->changes.count; i++)
		free(now[i]);
	free(now);
	if (!options->dry_run) {
		/* What failed may work the next time: the file tells of it until then. */
		if (outcome != FAILED && !state_remove(state, error, sizeof(error)))
			return say_fault(REFUSED, "%s", error);
		say("Now have Postfix read that: postfix reload");
	}
	return outcome == UNDONE ? EX_OK : REFUSED;
}

static int undo(const struct setup_options *options, struct postconf *postconf)
{
	char *directory = postconf_ask(postconf, "-h", "config_directory");
	struct state state;
	char error[ERROR_MAX];
	int status;

	if (directory == NULL)
		return fail(postconf);
	if (!state_read(&state, options->state_dir, directory, error, sizeof(error))) {
		status = say_fault(REFUSED, "%s", error);
	} else if (!state.exists) {
		say("Nothing to undo: there is no %s", state.path);
		status = EX_OK;
	} else {
		status = undo_all(options, postconf, &state);
	}
	state_free(&state);
	free(directory);
	return status;
}

int setup_postfix(const struct setup_options *options)
{
	struct postconf postconf = {.directory = options->config_dir};

	return options->undo ? undo(options, &postconf) : set_up(options, &postconf);
}
