# SPDX-License-Identifier: MIT
"""Fifty pairs of everyday sentences, from paraphrases down to pairs that share nothing."""

PAIRS: tuple[tuple[str, str], ...] = (
    # Nearly the same meaning.
    ("The bus to the airport leaves every half hour.", "An airport bus departs every 30 minutes."),
    ("How can I reset my password?", "What do I do when I have forgotten my login password?"),
    ("She closed the window because it was cold.", "As it was chilly, she shut the window."),
    ("Our train was two hours late.", "The train that we took was delayed by two hours."),
    ("He repaired the old bicycle himself.", "He fixed his old bike without any help."),
    ("Please call me tomorrow morning.", "Could you phone me early tomorrow?"),
    ("The soup needs a little more salt.", "There is not quite enough salt in the soup."),
    ("Children under six travel free of charge.", "Kids younger than six need no ticket."),
    ("I could not sleep last night.", "I lay awake for most of the night."),
    ("The museum is closed on Mondays.", "On Mondays visitors cannot enter the museum."),
    (
        "My doctor told me to walk more and to eat less sugar.",
        "My physician said that I should cut down on sweets and go for a long walk every day.",
    ),
    (
        "The two brothers have not spoken to each other for years.",
        "The brothers fell out long ago.",
    ),
    ("It rained all weekend.", "We had rain on Saturday and on Sunday, from morning to night."),
    ("The company hired forty new engineers this spring.", "Forty engineers joined the firm."),
    ("Bread is cheaper at the market.", "You pay less for bread if you buy it at the market."),
    # The same subject.
    ("The cat sleeps on the warm stove.", "A dog is lying in front of the fireplace."),
    ("We planted three apple trees behind the house.", "The pears in her garden are ripe already."),
    ("Interest rates rose again in June.", "Many families can no longer pay for their mortgage."),
    ("The goalkeeper saved a penalty in the last minute.", "Our team lost the final by one goal."),
    ("He plays the violin in a small orchestra.", "The pianist practised for six hours a day."),
    ("The laptop gets hot when I watch films.", "Which phone has the best battery?"),
    ("The nurse took his blood pressure.", "The hospital has opened a second operating theatre."),
    ("Add the flour slowly and keep stirring.", "Bake the cake for forty minutes."),
    (
        "Her flight to Lisbon was cancelled.",
        "To avoid flying they crossed the Atlantic on a cargo ship that carried bananas.",
    ),
    (
        "The mountain path is steep and covered with loose stones.",
        "We hiked along the river for five days and did not meet anybody on the way.",
    ),
    ("The new teacher explains fractions very well.", "Most pupils find geometry difficult."),
    ("The police stopped a car without lights.", "A lorry blocked two lanes of the motorway."),
    ("Snow fell during the night.", "The lake was frozen from December until the end of March."),
    ("He wrote his first novel at the age of seventy.", "The library lends books for four weeks."),
    ("Prices for oil fell sharply.", "Petrol stations along the border had long queues of cars."),
    ("She won the race in spite of a sore knee.", "The marathon starts at the old harbour."),
    ("The theatre was sold out for weeks.", "Nobody in the cinema laughed at the comedy."),
    ("My neighbour keeps bees on his roof.", "The farmer counts his sheep every evening."),
    ("The baby has learned to crawl.", "Two toddlers were fighting over a red plastic spade."),
    # Little or nothing in common.
    ("The kettle is boiling.", "Parliament will vote on the budget next Thursday afternoon."),
    (
        "Penguins cannot fly, but they swim well.",
        "The accountant found a mistake in the annual report.",
    ),
    ("I have lost my umbrella on the tram.", "Hydrogen is the lightest of all elements."),
    (
        "The carpet in the hall is dark green.",
        "After a long night of counting he was elected mayor with a majority of just eleven votes.",
    ),
    ("Turn left at the church and then take the second street.", "Whales must breathe air."),
    ("The printer is out of paper.", "In autumn the storks gather and fly south together."),
    ("She speaks Finnish and a little Korean.", "The bridge was built from local granite."),
    ("A wooden spoon does not scratch the pan.", "The defendant denied everything in court."),
    ("The volcano had been quiet for three centuries.", "Your shirt is missing a button."),
    ("They got married on a boat.", "Vaccines train the immune system to recognise a virus."),
    ("The chess club meets in the basement of the town hall.", "Garlic keeps for months."),
    ("Mirrors make small rooms look larger.", "The striker signed a contract for three years."),
    ("He collects stamps from countries that no longer exist.", "The well has run dry."),
    ("Our satellite sends a picture every ten seconds.", "Grandmother knits socks for everyone."),
    (
        "The dentist can see you at noon.",
        "Last winter a storm tore the roof off the old barn and carried it across two fields.",
    ),
    (
        "Before you paint the fence, remove the rust and let the wood dry in the sun for two days.",
        "Nothing was heard but the ticking of the clock.",
    ),
)
