/* SPDX-License-Identifier: BSD-2-Clause */
/* The abbreviated months of glibc's locales, and those that are written as a number. */
#include "month.h"

/*
 * All names of English, Bulgarian, Danish, Dutch, Estonian, Finnish, French, German, Hungarian,
 * Icelandic, Indonesian, Italian, Latvian, Macedonian, Norwegian, Portuguese, Romanian, Russian,
 * Serbian, Slovenian, Spanish, Swedish and Turkish; in lower case, but for what is not ASCII, and
 * without a dot. No name is in two rows.
 */
static const char *const names[12] = {
	" jan janv jän Jän jaan ene gen gener tammi ian oca янв яну јан ",
	" feb febr févr fev fév febrer veebr helmi şub Şub фев феб ",
	" mar mars mär märz märts mrt mrz març maalis márc мар ",
	" apr april abr avril avr abril ápr huhti nis апр ",
	" may mai mei mag maio maig maj maí máj touko май мая мај ",
	" jun june juni juin juuni jūn giu juny jún kesä iun haz июн юни јун ",
	" jul july juli juil jui juuli jūl lug juliol júl heinä iul tem июл юли јул ",
	" aug août aoû ago agost agu avg ágú elo ağu авг ",
	" sep sept set szept syys eyl сен сеп ",
	" oct okt ott out loka eki окт ",
	" nov nóv marras noi kas ноя нов ное ",
	" dec dez déc dic des dets joulu ara дек дец ",
};

#define NAME_MAX_BYTES 16

/* " 11月", " 3월": Chinese, Japanese, Korean. */
static int read_number(struct span name)
{
	uint32_t number;

	if (!span_number(&name, &number) || number < 1 || number > 12)
		return 0;
	return span_is(name, "月") || span_is(name, "월") ? (int)number : 0;
}

int maillog_month(struct span name)
{
	char word[NAME_MAX_BYTES + 3] = " ";
	size_t length = name.length;

	if (length > 0 && name.text[length - 1] == '.')
		length--;
	if (length == 0 || length > NAME_MAX_BYTES)
		return 0;
	for (size_t i = 0; i < length; i++) {
		char c = name.text[i];

		if (c == ' ' || c == '\0')
			return 0;
		word[i + 1] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
	}
	word[length + 1] = ' ';
	for (int month = 1; month <= 12; month++)
		if (strstr(names[month - 1], word) != NULL)
			return month;
	return read_number(span_upto(name, length));
}
